"""The options that choose presets and their cut-offs, the same for every command."""

import argparse
from collections.abc import Mapping

import numpy as np

from .._tables.presets import LARGEST_CUTOFF, Preset
from .._tables.quantities import largest_cutoff
from .._tables.verdicts import ALL_PRESETS, VERDICTS


def add_preset_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--drop PRESET` and, for each preset, `--PRESET SCORE=CUTOFF`."""
    group = parser.add_argument_group(
        "presets", f"Those from {next(iter(VERDICTS))} on need a table with measures (score --signals ...,metrics)."
    )
    group.add_argument(
        "--drop",
        action="append",
        default=[],
        choices=list(ALL_PRESETS),
        metavar="PRESET",
        help=f"drop the videos of a preset (repeatable): {', '.join(ALL_PRESETS)}",
    )
    for preset in ALL_PRESETS.values():
        group.add_argument(
            preset.flag,
            action="append",
            default=[],
            type=_Cutoffs(preset),
            metavar="SCORE=CUTOFF[,...]",
            help=f"change cut-offs of {preset.name}: {preset.meaning} (default: {preset})",
        )


def presets_from(options: argparse.Namespace) -> dict[str, Preset]:
    """Every preset with the cut-offs of the command line, by name."""
    return {
        name: preset.adjusted({score: cutoff for given in getattr(options, name) for score, cutoff in given.items()})
        for name, preset in ALL_PRESETS.items()
    }


def dropped_presets(options: argparse.Namespace) -> list[str]:
    """The presets that `--drop` names, and those with cut-offs on the command line."""
    return [name for name in ALL_PRESETS if name in options.drop or getattr(options, name)]


def probability(text: str) -> float:
    """A number from 0 to 1."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


class _Cutoffs:
    """Reads `camera=0.4,object=0.3`."""

    def __init__(self, preset: Preset) -> None:
        self.scores = [limit.score for limit in preset.limits]
        self.name = preset.name

    def __call__(self, text: str) -> Mapping[str, float]:
        cutoffs: dict[str, float] = {}
        for item in text.split(","):
            score, equals, number = item.partition("=")
            if score not in self.scores or not equals:
                scores = " or ".join([*filter(None, [", ".join(self.scores[:-1])]), self.scores[-1]])
                raise argparse.ArgumentTypeError(f"{item!r} is not SCORE=CUTOFF; the scores of {self.name}: {scores}")
            try:
                cutoffs[score] = float(number)
            except ValueError:
                raise argparse.ArgumentTypeError(f"the cut-off {number!r} for {score} is not a number") from None
            most = largest_cutoff(score, LARGEST_CUTOFF)
            if not np.abs(cutoffs[score]) <= most:
                raise argparse.ArgumentTypeError(
                    f"the cut-off {number} for {score} is not between {-most:g} and {most:g}"
                )
        return cutoffs
