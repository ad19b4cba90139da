"""A stand-in for a machine with a GPU and TensorRT, for tests of exports."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MODEL_REPOSITORY

PACKAGE = """
from math import nan
from tests.fake_tensorrt import make
globals().update(make({version!r}, **{options}))
"""

TRTEXEC = """#!{python}
import sys
from math import nan
sys.path.insert(0, {root!r})
from tests.fake_tensorrt import trtexec
trtexec({version}, **{options})
"""


class Stream:
    """A CUDA stream of a machine without CUDA."""

    cuda_stream = 0

    def synchronize(self) -> None:
        """Nothing runs in the background."""


class Machine:
    """A stand-in for a machine with a GPU and TensorRT."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        directory.mkdir()
        self.gpu("NVIDIA H200, 9.0")
        monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)
        monkeypatch.syspath_prepend(str(directory))
        monkeypatch.setattr("export.tensorrt.TRTEXEC_DIRECTORIES", ())
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr("sys.dont_write_bytecode", True)  # the package changes too fast for its date
        monkeypatch.setitem(sys.modules, "tensorrt", None)
        monkeypatch.setattr("export.tensorrt.pytorch_has_cuda", lambda: True)
        monkeypatch.setattr("export.tensorrt_python.open_stream", Stream)
        monkeypatch.setattr("export.tensorrt_python.DEVICE", "cpu")
        self._monkeypatch = monkeypatch

    def gpu(self, line: str) -> None:
        self.script("nvidia-smi", f"#!/bin/sh\necho '{line}'\n")

    def python_package(self, version: str, **options: Any) -> None:
        self.package(PACKAGE.format(version=version, options=options))

    def package(self, text: str) -> None:
        (self.directory / "tensorrt.py").write_text(text)
        importlib.invalidate_caches()
        self._monkeypatch.delitem(sys.modules, "tensorrt", raising=False)

    def trtexec(self, version: int, **options: Any) -> None:
        root = str(MODEL_REPOSITORY.parent)
        self.script("trtexec", TRTEXEC.format(python=sys.executable, root=root, version=version, options=options))

    def script(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)
        (self.directory / name).chmod(0o755)
