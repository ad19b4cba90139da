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
from server.stated_errors import stated_errors

CAPABILITIES = ["FP32", "BF16"]
SMALL = {"int8": 0.004, "int8_bf16": 0.006}


def rates(f32: float, bf16: float = 0.0, int8: float = 0.0, int8_bf16: float = 0.0) -> Callable[[str], float]:
    return {"f32": f32, "bf16": bf16, "int8": int8, "int8_bf16": int8_bf16}.__getitem__


def choose(product: Callable[[str], float], layer: Callable[[str], float], errors: dict[str, float]) -> str:
    return choose_precision("auto", CAPABILITIES, errors, 0.01, product, layer)


@pytest.mark.parametrize(
    ("product", "layer", "errors", "chosen"),
    [
        (rates(1, 2), rates(1, 2), {}, "bf16"),
        (rates(1, 0.6), rates(1, 2), {}, "f32"),
        (rates(1, 2), rates(1, 1.1), {}, "f32"),
        (rates(1, 2, 4, 4), rates(1, 2, 3, 4), {}, "bf16"),
        (rates(1, 2, 4, 4), rates(1, 2, 3, 4), SMALL, "int8_bf16"),
        (rates(1, 2, 4, 4), rates(1, 2, 3, 3.1), SMALL, "int8"),
        (rates(1, 2, 4, 4), rates(1, 2, 2.1, 2.2), SMALL, "bf16"),
        (rates(1, 2, 1, 1), rates(1, 2, 3, 4), SMALL, "bf16"),
        (rates(1, 2, 4, 4), rates(1, 2, 3, 4), {"int8": 0.004, "int8_bf16": 0.011}, "int8"),
        (rates(1, 2, 4, 4), rates(1, 2, 3, 4), {"int8": 0.011, "int8_bf16": 0.012}, "bf16"),
        (rates(1, 2, 4, 4), rates(1, 2, 3, 4), {"int8": 0.01}, "int8"),
    ],
)
def test_auto_takes_the_fastest_that_is_exact_enough(
    product: Callable[[str], float], layer: Callable[[str], float], errors: dict[str, float], chosen: str
) -> None:
    assert choose(product, layer, errors) == chosen


def test_nothing_is_measured_without_a_choice() -> None:
    def never(precision: str) -> float:
        raise AssertionError(precision)

    assert choose_precision("auto", ["FP32"], {}, 0.01, never, never) == "f32"
    for asked in ("f32", "bf16", "int8", "int8_bf16"):
        assert choose_precision(asked, CAPABILITIES, {}, 0.01, never, never) == asked


@pytest.mark.parametrize("asked", ["bf16", "int8_bf16"])
def test_bf16_needs_a_cpu_that_has_it(asked: str) -> None:
    with pytest.raises(ValueError, match=f"PRECISION is {asked}, but this CPU does not support bf16"):
        choose_precision(asked, ["FP32"], SMALL, 0.01, rates(1), rates(1))
    assert choose_precision("auto", ["FP32"], SMALL, 0.01, rates(1, 2, 4, 4), rates(1, 2, 3, 9)) == "int8"


def test_an_unknown_precision_is_named() -> None:
    with pytest.raises(ValueError, match="PRECISION is 'fp8', it must be one of auto, f32, bf16, int8, int8_bf16"):
        choose_precision("fp8", CAPABILITIES, {}, 0.01, rates(1), rates(1))


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_products_and_layers_are_measured(precision: str) -> None:
    core = openvino.Core()
    assert matrix_rate(core, precision, rows=16, width=32, runs=1) > 0
    assert layer_rate(core, precision, tokens=16, width=48, heads=3, runs=1) > 0


def write_repository(directory: Path, errors: dict[str, dict[str, float]], models: list[str]) -> None:
    manifest = {
        "motion": "m",
        "camera": "c",
        "frames": {"model": "frame_encoder"},
        "int8": {model: {"inputs": 8, "errors": found} for model, found in errors.items()},
    }
    (directory / "weights.json").write_text(json.dumps(manifest))
    for model in models:
        (directory / model / "1").mkdir(parents=True)
        (directory / model / "1" / "model_int8.xml").touch()


def test_stated_errors_are_the_largest_of_all_networks(tmp_path: Path) -> None:
    stated = {
        "motion_backbone": {"int8": 0.001, "int8_bf16": 0.004},
        "camera_classifier": {"int8": 0.003, "int8_bf16": 0.002},
        "frame_encoder": {"int8": 0.002},
    }
    write_repository(tmp_path, stated, [*stated])
    assert stated_errors(tmp_path) == {"int8": 0.003}  # int8_bf16 is not stated for all


def test_no_error_is_stated_if_a_network_has_none(tmp_path: Path) -> None:
    stated = {"motion_backbone": {"int8": 0.001}, "camera_classifier": {"int8": 0.003}}
    write_repository(tmp_path, stated, ["motion_backbone", "camera_classifier"])
    assert stated_errors(tmp_path) == {}  # the image encoder has no 8-bit form
    (tmp_path / "weights.json").write_text("{")
    assert stated_errors(tmp_path) == {}


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
