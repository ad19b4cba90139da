"""The options that choose presets and their cut-offs, the same for every command."""

import argparse
from collections.abc import Mapping
from typing import Literal

from .._tables.presets import LARGEST_CUTOFF, Limit, Preset
from .._tables.quantities import cutoffs_of
from .._tables.verdicts import ALL_PRESETS, VERDICTS

_SIDES: tuple[Literal["below", "above"], ...] = ("below", "above")


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


def add_limit_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--below NAME=CUTOFF` and `--above NAME=CUTOFF`."""
    for side in _SIDES:
        parser.add_argument(
            f"--{side}",
            action="append",
            default=[],
            type=_Limits(side),
            metavar="NAME=CUTOFF",
            help=f"drop what is {side} this in a column of numbers, or in camera_LABEL, a label's mean probability "
            "(repeatable)",
        )


def limits_from(options: argparse.Namespace) -> dict[str, Preset]:
    """A preset for each `--below` and `--above`, by its name, such as `sharpness<40`."""
    limits = [limit for side in _SIDES for limit in getattr(options, side)]
    names = {limit: f"{limit.score}{'<' if limit.side == 'below' else '>'}{limit.cutoff:g}" for limit in limits}
    return {name: Preset(name, str(limit), (limit,)) for limit, name in names.items()}


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


class _Limits:
    """Reads `sharpness=40`."""

    def __init__(self, side: Literal["below", "above"]) -> None:
        self.side = side

    def __call__(self, text: str) -> Limit:
        name, _, number = text.partition("=")
        try:
            cutoff = float(number)
        except ValueError:
            cutoff = float("nan")
        if not name or cutoff != cutoff:
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME=CUTOFF, such as sharpness=40")
        if sentence := _out_of_range(name, cutoff, number):
            raise argparse.ArgumentTypeError(sentence)
        return Limit(name, self.side, cutoff)


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
            if sentence := _out_of_range(score, cutoffs[score], number):
                raise argparse.ArgumentTypeError(sentence)
        return cutoffs


def _out_of_range(score: str, cutoff: float, text: str) -> str | None:
    """What is wrong with a cut-off, if anything; text: as it was given."""
    least, most = cutoffs_of(score, LARGEST_CUTOFF)
    return None if least <= cutoff <= most else f"the cut-off {text} for {score} is not between {least:g} and {most:g}"
