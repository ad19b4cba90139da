"""`python -m deploy.bundle`: pack what the gpu profile needs on a machine without network."""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from deploy.bundle import repository
from deploy.bundle.errors import BundleError
from deploy.bundle.packages import chosen_packages, download
from deploy.bundle.pieces import NAME, SUMS, write_tar
from deploy.bundle.target import target

ROOT = Path(__file__).parents[2]
OUTPUT = "gpu-bundle"
FOLDER = "video-motion"
"""The project's folder in the bundle."""
EPILOG = """\
The bundle has wheels for Linux on x86-64, the committed files of this checkout, the exported networks if there are any,
and start.py, which installs them without network."""


def main(arguments: list[str] | None = None, project: Path = ROOT) -> int:
    """Make a bundle, and say how to unpack it; returns the exit status."""
    options = _parser(project).parse_args(arguments)
    piece_bytes = None if options.piece_mib is None else options.piece_mib << 20
    try:
        paths = make(project, options.output, options.python_version, options.has_pytorch, piece_bytes)
    except (BundleError, OSError) as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in paths)
    whole = piece_bytes is None
    pieces = "" if whole else f" in {len(paths)} pieces of {options.piece_mib} MiB"
    print(f"bundle: {size / 1e6:,.0f} MB{pieces} in {options.output}")
    join = f"tar -xf {NAME}" if whole else f"cat {NAME}.* | tar -x"
    print(f"bundle: there: sha256sum --check --quiet {SUMS} && {join} && python3 start.py")
    return 0


def make(project: Path, output: Path, python: str, has_pytorch: bool, piece_bytes: int | None) -> list[Path]:
    """The paths of a new bundle in `output`, which replace those of an earlier one; raises `BundleError` or OSError."""
    machine = target(python, has_pytorch, project)
    commit = repository.commit(project)
    if repository.has_changes(project):
        print("bundle: uncommitted changes are left out", file=sys.stderr)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle.", dir=output) as temporary:
        work = Path(temporary)
        repository.write_committed_files(project, work / FOLDER)  # what is wrong with them shows before the downloads
        print(f"bundle: 1/3 which packages, for Python {python}", flush=True)
        packages = chosen_packages(project, machine)
        print(f"bundle: 2/3 the downloads of {len(packages)} packages", flush=True)
        download(project, machine, packages, work / "wheels")
        print("bundle: 3/3 the bundle", flush=True)
        networks = repository.networks(project)
        about = {
            "commit": commit,
            "python": python,
            "pytorch": not has_pytorch,
            "networks": bool(networks),
            "wheels": sorted(path.name for path in (work / "wheels").iterdir()),
        }
        (work / "bundle.json").write_text(json.dumps(about, indent=2) + "\n")
        shutil.copyfile(Path(__file__).with_name("start.py"), work / "start.py")
        content = {name: work / name for name in ("start.py", "bundle.json", FOLDER, "wheels")}
        content |= {f"{FOLDER}/{name}": path for name, path in networks.items()}
        (work / "made").mkdir()
        made = write_tar(content, work / "made", piece_bytes)
        for old in [*output.glob(f"{NAME}*"), *output.glob(SUMS)]:
            old.unlink()
        for path in [*made, work / "made" / SUMS]:
            path.rename(output / path.name)
    return [output / path.name for path in made]


def _parser(project: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.bundle", description=__doc__, epilog=EPILOG)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser.add_argument("--output", type=Path, default=project / OUTPUT, metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--python-version", default=version, metavar="3.N", help="the Python of that machine (default: %(default)s)"
    )
    parser.add_argument(
        "--piece-mib", type=_positive, metavar="N", help="split into pieces of N MiB, to be carried one at a time"
    )
    parser.add_argument(
        "--has-pytorch", action="store_true", help="leave out PyTorch and CUDA's libraries, which that machine has"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of MiB, 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
