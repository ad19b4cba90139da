"""What `make test-quick` leaves out: files by rule, and no folder of the project as a whole."""

import re
from pathlib import Path

import pytest

from tests.conftest import not_quick

ROOT = Path(__file__).parent.parent
PARTS = ("client", "video", "server", "deploy", "bench", "backends")
"""Folders that have tests with neither a server nor PyTorch."""
WHY_NOT = {
    "backends.dali": "it imports DALI",
    "backends.onnxruntime": "it imports ONNX Runtime",
    "backends.openvino": "it imports OpenVINO",
    "bench.verdicts": "its tests render videos",
}
"""Packages that no quick test imports itself."""


def packages() -> list[str]:
    folders = {path.parent for part in PARTS for path in (ROOT / part).rglob("*.py")}
    return sorted(folder.relative_to(ROOT).as_posix().replace("/", ".") for folder in folders)


@pytest.mark.parametrize(
    ("source", "left_out"),
    [
        ("import torch\n", True),
        ("from export.graph import check\n", True),
        ("from export.random_weights import CAMERA_LABELS\n", False),
        ("    import torch\n", False),
        ("pytestmark = pytest.mark.heavy  # a browser\n", True),
        ("pytestmark = [pytest.mark.slow, pytest.mark.ray]\n", True),
        ("@pytest.mark.heavy\ndef test() -> None: ...\n", False),
    ],
)
def test_a_file_is_left_out_for_its_imports_or_for_its_own_mark(source: str, left_out: bool, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(source)
    assert not_quick(tmp_path / "test_it.py") is left_out


def test_every_package_is_imported_by_a_file_that_is_not_left_out() -> None:
    files = [path for path in Path(__file__).parent.glob("test_*.py") if not not_quick(path)]
    sources = "\n".join(path.read_text() for path in files)
    imported = set(re.findall(r"^ *(?:from|import) ([\w.]+)", sources, re.MULTILINE))
    missing = [one for one in packages() if not any(f"{name}.".startswith(f"{one}.") for name in imported)]
    assert missing == [*WHY_NOT]
