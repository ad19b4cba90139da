"""The machine that a bundle is for: Linux on x86-64, with one version of Python."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

from deploy.bundle.errors import BundleError

NEWEST_GLIBC = 35
"""Wheels for up to glibc 2.35, that of Ubuntu 22.04; where it is older, installing names the wheel."""
OLD_NAMES = ("manylinux2014", "manylinux2010", "manylinux1")


@dataclass(frozen=True)
class Target:
    """A version of CPython, such as 3.12, and whether PyTorch with CUDA is there."""

    python: str
    has_pytorch: bool

    def pip_arguments(self) -> list[str]:
        """Arguments with which pip chooses wheels for this machine instead of its own."""
        platforms = [f"manylinux_2_{minor}" for minor in range(NEWEST_GLIBC, 4, -1)] + list(OLD_NAMES)
        chosen = ["--only-binary=:all:", f"--python-version={self.python}", "--implementation=cp"]
        chosen += [f"--abi={abi}" for abi in (f"cp{self.python.replace('.', '')}", "abi3", "none")]
        return chosen + [f"--platform={platform}_x86_64" for platform in platforms]

    def environment(self) -> dict[str, str]:
        """The values of environment markers (PEP 508) there."""
        return {
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "implementation_version": f"{self.python}.0",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "os_name": "posix",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "platform_machine": "x86_64",
            "platform_release": "",
            "platform_version": "",
        }


def target(python: str, has_pytorch: bool, project: Path) -> Target:
    """Raise `BundleError` for a version of Python that the project does not support."""
    supported = tomllib.loads((project / "pyproject.toml").read_text())["project"]["requires-python"]
    if not re.fullmatch(r"\d+\.\d+", python) or not SpecifierSet(supported).contains(f"{python}.0"):
        raise BundleError(f"there is no bundle for Python {python}: the project supports {supported}, written as 3.12")
    return Target(python, has_pytorch)
