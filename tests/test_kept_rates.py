"""Rates of this CPU that are kept for the next start."""

import json
import sys
from pathlib import Path

import pytest

from backends import kept_rates, rates
from backends.kept_rates import KeptRates
from backends.precision import precision_of_this_cpu
from server.installation import precision_environment

MEASURED = {"f32": 1.0, "bf16": 0.6, "int8": 4.0}


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was measured, in order."""
    found: list[str] = []

    def rate(_core: object, precision: str) -> float:
        found.append(precision)
        return MEASURED[precision]

    monkeypatch.setattr(rates, "matrix_rate", rate)
    monkeypatch.setattr(rates, "layer_rate", rate)
    return found


def test_a_rate_is_measured_once_for_all_starts(
    measurements: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "video_motion" / ".openvino"
    assert precision_of_this_cpu("auto", 0.004, cache=folder) == "int8"
    assert {"f32", "int8"} <= set(measurements)
    measurements.clear()
    monkeypatch.setitem(sys.modules, "openvino", None)  # it takes half a second
    assert precision_of_this_cpu("auto", 0.004, cache=folder) == "int8"
    assert precision_of_this_cpu("auto", 0.02, cache=folder) == "f32"  # another network, the same CPU
    assert measurements == []
    assert len(list(folder.iterdir())) == 1


def test_another_cpu_openvino_or_number_of_cores_measures_again(
    measurements: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def product() -> None:
        assert KeptRates(tmp_path).product("f32") == 1.0

    product()
    product()
    assert measurements == ["f32"]
    monkeypatch.setattr(kept_rates, "describe_cpu", lambda: "another CPU")
    product()
    monkeypatch.setattr(kept_rates, "version", lambda _package: "another OpenVINO")
    product()
    monkeypatch.setattr(kept_rates, "usable_cores", lambda: 1000)
    product()
    assert measurements == ["f32"] * 4


@pytest.mark.parametrize("value", ['"fast"', "null", "NaN", "Infinity", "-1.0", "0.0"])
def test_what_is_no_rate_is_measured_again(value: str, measurements: list[str], tmp_path: Path) -> None:
    KeptRates(tmp_path).product("f32")
    (file,) = tmp_path.iterdir()
    file.write_text(f'{{"product f32": {value}, "product int8": 4.0}}')
    assert KeptRates(tmp_path).product("f32") == 1.0
    assert KeptRates(tmp_path).product("int8") == 4.0
    assert measurements == ["f32", "f32"]


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_file_is_written_anew(content: str, measurements: list[str], tmp_path: Path) -> None:
    KeptRates(tmp_path).product("f32")
    (file,) = tmp_path.iterdir()
    file.write_text(content)
    assert KeptRates(tmp_path).product("f32") == 1.0
    assert measurements == ["f32", "f32"]
    assert json.loads(file.read_text()) == {"product f32": 1.0}


def test_without_a_place_to_keep_them_rates_are_measured_at_every_start(
    measurements: list[str], tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    for cache in (None, blocked / "folder"):
        assert KeptRates(cache).product("f32") == 1.0
    assert measurements == ["f32", "f32"]
    assert blocked.read_text() == ""


def test_a_repository_without_the_ensemble_gets_no_folder(tmp_path: Path, measurements: list[str]) -> None:
    """Triton loads every folder as a model."""
    assert precision_environment("cpu", "auto", tmp_path)["PRECISION"] in ("f32", "bf16")
    assert list(tmp_path.iterdir()) == []
