"""Presets, and the options that change their cut-offs."""

import argparse

import numpy as np
import pytest

from client._commands.preset_arguments import add_preset_arguments, presets_from
from client._tables.presets import PRESETS

EDGES = (0.5, 1.0, 2.5, 0.4, 0.1)


def scores(*rows: tuple[float, float, float]) -> dict[str, np.ndarray]:
    return dict(zip(("camera", "object", "dynamics"), np.array(rows, np.float32).T, strict=True))


@pytest.mark.parametrize(
    ("row", "presets"),
    [
        ((0.49, 0.49, 0.99), ["static"]),
        ((0.5, 0.49, 0.99), []),
        ((0.49, 0.5, 0.99), []),
        ((0.49, 0.49, 1.0), []),
        ((0.49, 0.49, 1.01), ["slideshow"]),
        ((2.51, 1.0, 2.51), ["chaotic"]),
        ((2.5, 1.0, 2.51), []),
        ((2.51, 1.0, 2.5), []),
        ((2.51, 0.49, 2.51), ["chaotic", "slideshow"]),
        ((1.0, 1.0, 1.0), []),
        ((float("nan"), 0.0, 0.0), []),
    ],
)
def test_presets_take_what_the_published_cutoffs_say(row: tuple[float, float, float], presets: list[str]) -> None:
    assert [name for name, preset in PRESETS.items() if preset.takes(scores(row))[0]] == presets


@pytest.mark.parametrize("edge", EDGES)
def test_a_score_that_prints_as_the_cutoff_is_on_neither_side(edge: float) -> None:
    at = np.float32(edge)
    around = np.array([np.nextafter(at, np.float32(-9)), at, np.nextafter(at, np.float32(9))])
    assert around.dtype == np.float32
    row = {"camera": around, "object": np.zeros(3, np.float32), "dynamics": np.zeros(3, np.float32)}
    assert PRESETS["static"].adjusted({"camera": edge}).takes(row).tolist() == [True, False, False]
    row = {"camera": around, "dynamics": np.full(3, 3, np.float32)}
    assert PRESETS["chaotic"].adjusted({"camera": edge}).takes(row).tolist() == [False, False, True]


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_preset_arguments(parser)
    return parser.parse_args(arguments)


def test_cutoffs_are_adjusted_together_or_one_by_one() -> None:
    together = presets_from(parse("--static", "camera=0.4,dynamics=0.8", "--slideshow", "object=.25"))
    assert str(together["static"]) == "camera < 0.4 and object < 0.5 and dynamics < 0.8"
    assert str(together["slideshow"]) == "object < 0.25 and dynamics > 1"
    assert together["chaotic"] == PRESETS["chaotic"]
    one_by_one = presets_from(parse("--static", "camera=0.4", "--static", "dynamics=0.8", "--slideshow", "object=.25"))
    assert one_by_one == together


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--static", "camera"], "'camera' is not SCORE=CUTOFF; the scores of static: camera, object or dynamics"),
        (["--chaotic", "object=1"], "'object=1' is not SCORE=CUTOFF; the scores of chaotic: camera or dynamics"),
        (["--static", "camera=high"], "the cut-off 'high' for camera is not a number"),
        (["--static", "camera=nan"], "the cut-off nan for camera is not between -1000 and 1000"),
        (["--static", "camera=1e4"], "the cut-off 1e4 for camera is not between -1000 and 1000"),
        (["--drop", "boring"], "invalid choice: 'boring' (choose from 'static', 'chaotic', 'slideshow', 'zoomed_still"),
    ],
)
def test_a_wrong_preset_argument_is_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(*arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
