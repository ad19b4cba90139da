"""Which precision the cpu profile computes in."""

import json
from collections.abc import Callable
from pathlib import Path

import openvino
import pytest

from backends.precision import choose_precision
from backends.rates import layer_rate, matrix_rate
from server.errors import ServerFailed
from server.launcher import _model_repository
from server.settings import Settings
from server.stated_error import stated_error

CAPABILITIES = ["FP32", "BF16"]


def rates(f32: float, bf16: float = 0.0, int8: float = 0.0) -> Callable[[str], float]:
    return {"f32": f32, "bf16": bf16, "int8": int8}.__getitem__


@pytest.mark.parametrize(
    ("product", "layer", "error", "chosen"),
    [
        (rates(1, 2), rates(1, 2), None, "bf16"),
        (rates(1, 0.6), rates(1, 2), None, "f32"),
        (rates(1, 2), rates(1, 1.1), None, "f32"),
        (rates(1, 2, 4), rates(1, 2, 3), None, "bf16"),
        (rates(1, 2, 4), rates(1, 2, 3), 0.004, "int8"),
        (rates(1, 2, 4), rates(1, 2, 3), 0.01, "int8"),
        (rates(1, 2, 4), rates(1, 2, 3), 0.011, "bf16"),
        (rates(1, 2, 4), rates(1, 2, 2.3), 0.004, "bf16"),
        (rates(1, 2, 1), rates(1, 2, 3), 0.004, "bf16"),
        (rates(1, 0.6, 4), rates(1, 0.6, 3), 0.004, "int8"),
        (rates(1, 0.6, 1.1), rates(1, 0.6, 1.1), 0.004, "f32"),
    ],
)
def test_auto_takes_the_fastest_that_is_exact_enough(
    product: Callable[[str], float], layer: Callable[[str], float], error: float | None, chosen: str
) -> None:
    assert choose_precision("auto", CAPABILITIES, error, 0.01, product, layer) == chosen


def test_nothing_is_measured_without_a_choice() -> None:
    def never(precision: str) -> float:
        raise AssertionError(precision)

    assert choose_precision("auto", ["FP32"], None, 0.01, never, never) == "f32"
    for asked in ("f32", "bf16", "int8"):
        assert choose_precision(asked, CAPABILITIES, None, 0.01, never, never) == asked


def test_a_precision_that_is_not_available_is_named() -> None:
    with pytest.raises(ValueError, match="PRECISION is bf16, which this CPU does not support"):
        choose_precision("bf16", ["FP32"], None, 0.01, rates(1), rates(1))
    with pytest.raises(ValueError, match="PRECISION is 'fp8', it must be one of auto, f32, bf16, int8"):
        choose_precision("fp8", CAPABILITIES, None, 0.01, rates(1), rates(1))
    assert choose_precision("auto", ["FP32"], 0.004, 0.01, rates(1, 9, 4), rates(1, 9, 3)) == "int8"


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_products_and_layers_are_measured(precision: str) -> None:
    core = openvino.Core()
    assert matrix_rate(core, precision, rows=16, width=32, runs=1) > 0
    assert layer_rate(core, precision, tokens=16, width=48, heads=3, runs=1) > 0


def write_repository(directory: Path, errors: dict[str, float | None], models: list[str]) -> None:
    entries = {model: {"inputs": 8} | ({"error": error} if error else {}) for model, error in errors.items()}
    manifest = {"motion": "m", "camera": "c", "frames": {"model": "frame_encoder"}, "int8": entries}
    (directory / "weights.json").write_text(json.dumps(manifest))
    for model in models:
        (directory / model / "1").mkdir(parents=True)
        (directory / model / "1" / "model_int8.xml").touch()


def test_the_stated_error_is_the_largest_of_all_networks(tmp_path: Path) -> None:
    errors: dict[str, float | None] = {"motion_backbone": 0.001, "camera_classifier": 0.003, "frame_encoder": 0.002}
    write_repository(tmp_path, errors, [*errors])
    assert stated_error(tmp_path) == 0.003
    (tmp_path / "frame_encoder" / "1" / "model_int8.xml").unlink()
    assert stated_error(tmp_path) is None


@pytest.mark.parametrize("frames", [{}, {"frame_encoder": None}])
def test_no_error_is_stated_if_a_network_states_none(frames: dict[str, float | None], tmp_path: Path) -> None:
    errors = {"motion_backbone": 0.001, "camera_classifier": 0.003} | frames
    write_repository(tmp_path, errors, ["motion_backbone", "camera_classifier", "frame_encoder"])
    assert stated_error(tmp_path) is None
    (tmp_path / "weights.json").write_text("{")
    assert stated_error(tmp_path) is None


@pytest.mark.parametrize(
    "changed",
    [
        [],
        None,
        {"frames": None},
        {"frames": {}},
        {"int8": []},
        {"int8": {"motion_backbone": None}},
        {"int8": {"motion_backbone": {"error": "0.001"}}},
        {"int8": {"motion_backbone": {"error": float("nan")}}},
        {"int8": {"motion_backbone": {"error": -1}}},
    ],
)
def test_no_error_is_stated_in_a_manifest_that_no_export_writes(changed: object, tmp_path: Path) -> None:
    errors: dict[str, float | None] = {"motion_backbone": 0.001, "camera_classifier": 0.003, "frame_encoder": 0.002}
    write_repository(tmp_path, errors, [*errors])
    manifest = json.loads((tmp_path / "weights.json").read_text())
    if isinstance(changed, dict):
        entries = changed.pop("int8", {})
        whole = manifest["int8"] | entries if isinstance(entries, dict) else entries
        changed = manifest | {"int8": whole} | changed
    (tmp_path / "weights.json").write_text(json.dumps(changed))
    assert stated_error(tmp_path) is None


@pytest.mark.parametrize(("text", "bound"), [("", None), ("0.02", 0.02), ("0", 0.0), ("1", 1.0)])
def test_the_largest_error_is_a_setting(text: str, bound: float | None, tmp_path: Path) -> None:
    assert Settings.from_environment(tmp_path, {"MAX_INT8_ERROR": text}).max_int8_error == bound


@pytest.mark.parametrize("text", ["-0.1", "1.5", "nan", "much"])
def test_a_largest_error_that_is_no_share_is_named(text: str, tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match=f"MAX_INT8_ERROR is '{text}', it must be a number from 0 to 1"):
        Settings.from_environment(tmp_path, {"MAX_INT8_ERROR": text})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model-repository=/m", "--log-verbose=1"],
        ["--http-port", "8000", "--model-repository", "/m"],
        ["--model-store=/m"],
    ],
)
def test_the_launcher_finds_the_model_repository(arguments: list[str]) -> None:
    assert _model_repository(arguments) == Path("/m")
