"""Compiling the Python models of a repository before Triton looks at them.

Python writes a compiled file beside a model when it is imported. Triton would take that for a change, and load the
model, and the ensembles that it is part of, again as soon as one of them is asked for.
"""

import contextlib
import py_compile
from importlib.util import cache_from_source
from pathlib import Path


def compile_models(repository: Path) -> None:
    """Compile what has changed; a repository that cannot be written to stays as it is."""
    for source in repository.glob("*/[0-9]*/*.py"):
        with contextlib.suppress(OSError, py_compile.PyCompileError):  # Triton will say what is wrong with it
            compiled = Path(cache_from_source(str(source)))
            if not compiled.is_file() or compiled.stat().st_mtime < source.stat().st_mtime:
                py_compile.compile(str(source), doraise=True)
