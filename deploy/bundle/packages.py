"""Which packages a bundle has: those that pip would install there from the groups of pyproject.toml."""

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.bundle.errors import BundleError
from deploy.bundle.target import Target

GROUPS = ("proxy", "gpu", "export")
"""Dependency groups of pyproject.toml that are installed with their dependencies."""
FILES_ONLY = ("triton", "videos")
"""Those of which only files are used, so that they are installed without."""
PYTORCH = "torch"
CUDA_EXTRAS = "onnxruntime-gpu"
"""Its extras are CUDA's libraries, which come with PyTorch, too."""
REPLACED = {"onnxruntime": "onnxruntime-gpu"}
"""The first is the second without CUDA, and both install the same files."""
MAX_ROUNDS = 5


@dataclass(frozen=True)
class Package:
    """A package that pip chose."""

    name: str
    """Canonical: lower case, with hyphens."""
    version: str
    requires: tuple[Requirement, ...]


def chosen_packages(project: Path, target: Target) -> list[Package]:
    """The packages of `GROUPS` and of the client, and what they need; `BundleError` if pip cannot find them.

    On a machine that has PyTorch, neither PyTorch nor what only PyTorch needs is among them.
    """
    roots = requirements(project)
    extra: list[str] = []
    for _ in range(MAX_ROUNDS):
        packages = _resolve(target, [*map(str, roots), *extra])
        wanted, missing = needed(roots, packages, target.environment())
        if not missing:
            break
        # pip evaluates the markers of dependencies for the Python that it runs in.
        extra += missing
    else:
        raise BundleError(f"pip does not find {missing[0]} for Python {target.python}")
    if target.has_pytorch:
        wanted, _ = needed(map(_without_cuda, roots), packages, target.environment(), left_out={PYTORCH})
    elif "+cpu" in packages[PYTORCH].version:
        raise BundleError(
            f"pip found PyTorch {packages[PYTORCH].version}, which has no CUDA: use an index without wheels for CPUs"
        )
    wanted -= {name for name, other in REPLACED.items() if other in wanted}
    return [packages[name] for name in sorted(wanted)]


def requirements(project: Path) -> list[Requirement]:
    """The client's dependencies and those of `GROUPS`, as pyproject.toml has them."""
    content = tomllib.loads((project / "pyproject.toml").read_text())
    groups: Mapping[str, list[Any]] = content["dependency-groups"]

    def entries(group: str) -> Iterable[str]:
        for entry in groups[group]:
            if isinstance(entry, str):
                yield entry
            else:
                yield from entries(entry["include-group"])

    found = [*content["project"]["dependencies"], *(entry for group in GROUPS for entry in entries(group))]
    return [Requirement(entry) for entry in dict.fromkeys(found)]


def needed(
    roots: Iterable[Requirement],
    packages: Mapping[str, Package],
    environment: Mapping[str, str],
    left_out: frozenset[str] | set[str] = frozenset(),
) -> tuple[set[str], list[str]]:
    """Names of the packages that `roots` need, and requirements of which `packages` has none.

    `left_out` are names of packages that are there already, and what they need with them.
    """
    found: set[str] = set()
    missing: list[str] = []
    seen: set[tuple[str, str]] = set()
    waiting = [(root, "") for root in roots]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({**environment, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name in left_out:
            continue
        if name not in packages:
            missing.append(f"{requirement.name}{requirement.specifier}")
            continue
        found.add(name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(dependency, wanted) for dependency in packages[name].requires]
    return found, sorted(set(missing))


def download(project: Path, target: Target, packages: Iterable[Package], directory: Path) -> None:
    """The wheels of `packages` and of `FILES_ONLY`, and pip itself, into `directory`; raises `BundleError`."""
    groups = [f"--group={project / 'pyproject.toml'}:{group}" for group in FILES_ONLY]
    exact = [f"{package.name}=={package.version}" for package in packages]
    _pip(["download", "--no-deps", f"--dest={directory}", *target.pip_arguments(), *groups, *exact, "pip"])


def _without_cuda(requirement: Requirement) -> Requirement:
    if canonicalize_name(requirement.name) != CUDA_EXTRAS:
        return requirement
    return Requirement(f"{requirement.name}{requirement.specifier}")


def _resolve(target: Target, wanted: Iterable[str]) -> dict[str, Package]:
    """What pip would install for the requirements, by name; nothing is downloaded but metadata."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "report.json")
        arguments = ["install", "--dry-run", "--ignore-installed", f"--report={report}"]
        arguments += [f"--target={directory}/nothing", *target.pip_arguments(), *wanted]
        _pip(arguments)
        installed = json.loads(report.read_text())["install"]
    packages: dict[str, Package] = {}
    for metadata in (entry["metadata"] for entry in installed):
        name = canonicalize_name(metadata["name"])
        requires = tuple(map(Requirement, metadata.get("requires_dist", [])))
        packages[name] = Package(name, metadata["version"], requires)
    return packages


def _pip(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise BundleError(f"pip {arguments[0]} failed: {(errors or done.stderr.splitlines() or ['no message'])[0]}")
