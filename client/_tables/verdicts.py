"""Verdicts: presets that need the measures of a table. `docs/measures.md` says how often they are right."""

from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa

from .presets import PRESETS, Limit, Preset
from .quantities import quantities_of
from .table import Metadata, TableError, table_schema

_CAMERA_ONLY = (
    Limit("camera", "above", 0.5),
    Limit("object", "below", 0.3),
    Limit("dynamics", "below", 1.0),
    Limit("frozen_share", "below", 0.5),
)

VERDICTS = {
    preset.name: preset
    for preset in (
        Preset(
            "zoomed_still",
            "a picture under a moving camera",
            (*_CAMERA_ONLY, Limit("plane_moves", "above", 0.6), Limit("depth_moves", "below", 0.45)),
        ),
        Preset("camera_only", "the camera moves, nothing else does", _CAMERA_ONLY),
        Preset(
            "flicker",
            "the light jumps",
            (Limit("dynamics", "above", 2.55), Limit("cuts", "below", 0.5), Limit("black_share", "below", 0.5)),
        ),
        Preset("black", "almost every frame is black", (Limit("black_share", "above", 0.9),)),
        Preset("frozen", "the picture does not change", (Limit("frozen_share", "above", 0.9),)),
        Preset("letterboxed", "black bars beside the picture", (Limit("letterbox", "above", 0.025),)),
        Preset("multi_shot", "one shot follows another", (Limit("cuts", "above", 0.5),)),
    )
}
"""The verdicts with their published cut-offs, by name."""

ALL_PRESETS = PRESETS | VERDICTS
"""Everything that `--drop` can name."""


def split_by_table(
    path: Path, metadata: Metadata, presets: Iterable[Preset]
) -> tuple[dict[str, Preset], dict[str, str]]:
    """Of these presets those that a table has the columns for, and for each other why not, by name.

    Raises `TableError` if the table cannot be read.
    """
    columns = [field.name for field in table_schema(path, metadata) if _is_number(field.type)]
    told: dict[str, Preset] = {}
    not_told: dict[str, str] = {}
    for preset in presets:
        why = _why_not(preset, columns, metadata)
        if why is None:
            told[preset.name] = preset
        else:
            not_told[preset.name] = why
    return told, not_told


def check_presets(path: Path, metadata: Metadata, presets: Iterable[Preset]) -> None:
    """Raise `TableError` if a table lacks what one of these presets needs."""
    _, not_told = split_by_table(path, metadata, presets)
    for name, why in not_told.items():
        raise TableError(f"{path} does not tell {name}, because {why}")


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _why_not(preset: Preset, columns: Collection[str], metadata: Metadata) -> str | None:
    # Labels last: what lacks measures, too, is said to lack these.
    quantities = sorted(quantities_of([preset]), key=lambda quantity: bool(quantity.labels))
    return next(filter(None, (quantity.why_not(columns, metadata) for quantity in quantities)), None)
