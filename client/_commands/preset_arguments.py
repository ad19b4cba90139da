"""The command-line options that choose presets and their cut-offs; the same wherever presets are used."""

import argparse
from collections.abc import Iterable, Mapping

import numpy as np

from .._tables.presets import PRESETS, Preset

LARGEST_CUTOFF = 1000.0
"""Either way; scores are nominally 0 to 3."""


def add_preset_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--drop PRESET` and, for each preset, `--PRESET SCORE=CUTOFF`."""
    group = parser.add_argument_group("presets")
    group.add_argument(
        "--drop",
        action="append",
        default=[],
        choices=list(PRESETS),
        metavar="PRESET",
        help=f"drop the videos of a preset; may be given several times: {', '.join(PRESETS)}",
    )
    for preset in PRESETS.values():
        group.add_argument(
            f"--{preset.name}",
            action="append",
            default=[],
            type=_Cutoffs(preset),
            metavar="SCORE=CUTOFF[,...]",
            help=f"other cut-offs for {preset.name}, {preset.meaning} (default: {preset})",
        )


def presets_from(options: argparse.Namespace) -> dict[str, Preset]:
    """Every preset with the cut-offs that were asked for, by name."""
    return {
        name: preset.adjusted({score: cutoff for given in getattr(options, name) for score, cutoff in given.items()})
        for name, preset in PRESETS.items()
    }


def as_arguments(presets: Iterable[Preset]) -> list[str]:
    """The options that choose these presets: `--drop` each, cut-offs where they are not the published ones."""
    arguments = []
    for preset in presets:
        arguments += ["--drop", preset.name]
        changed = [
            f"{limit.score}={limit.cutoff!r}"
            for limit, published in zip(preset.limits, PRESETS[preset.name].limits, strict=True)
            if limit.cutoff != published.cutoff
        ]
        if changed:
            arguments += [f"--{preset.name}", ",".join(changed)]
    return arguments


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
                scores = ", ".join(self.scores[:-1]) + f" or {self.scores[-1]}"
                raise argparse.ArgumentTypeError(f"{item!r} is not SCORE=CUTOFF; the scores of {self.name}: {scores}")
            try:
                cutoffs[score] = float(number)
            except ValueError:
                raise argparse.ArgumentTypeError(f"the cut-off {number!r} for {score} is not a number") from None
            if not np.abs(cutoffs[score]) <= LARGEST_CUTOFF:
                raise argparse.ArgumentTypeError(
                    f"the cut-off {number} for {score} is not between {-LARGEST_CUTOFF:g} and {LARGEST_CUTOFF:g}"
                )
        return cutoffs
