"""Which columns of a list name a video, select its part and go into the table: what was chosen, and what is told."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from .errors import InputError
from .names import escaped, shown
from .template import Template

COLUMNS = ("path", "video", "file_name", "video_path", "file_path", "filename")
"""Columns that may name a video; the first one found is used."""
PART = ("start_seconds", "end_seconds")
"""Columns that select a part of it."""
KINETICS = {"start_seconds": "time_start", "end_seconds": "time_end"}
"""Columns of the part in lists of Kinetics, which name a video by its `youtube_id`."""
LINE = "line"
"""The column of a list without columns: its lines."""
_NAMES_SHOWN = 120


@dataclass(frozen=True)
class Choices:
    """What the command line says about the columns of lists. Raises `InputError`."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns of the list by the names that they get: `path`, `start_seconds`, `end_seconds`, or any other. An empty
    column of a part means that the list selects none."""
    template: Template | None = None
    """The path of each video, from columns."""
    keep: tuple[str, ...] = ()
    """Columns whose values go into the table."""
    whole_rows: bool = False
    """Whether items have all columns of their rows, beside what is kept."""

    @classmethod
    def of(cls, columns: str | None, template: str | None, keep: str | None) -> "Choices":
        """The choices as they are written on the command line. Raises `InputError`."""
        return cls(
            _pairs(columns) if columns else {}, Template(template) if template else None, _kept(keep) if keep else ()
        )

    def __bool__(self) -> bool:
        return bool(self.columns or self.template or self.keep)

    def source(self, name: str) -> str:
        """The column of the list for a name."""
        return self.columns.get(name, name)

    @property
    def wanted(self) -> dict[str, str]:
        """Every column of the list that was chosen, with what chose it."""
        wanted = {column: f"--columns {name}={column}" for name, column in self.columns.items() if column}
        for name in self.template.fields if self.template else ():
            wanted.setdefault(self.source(name), f"--path-template {self.template.text if self.template else ''}")
        for name in self.keep:
            wanted.setdefault(self.source(name), f"--keep {name}")
        return wanted

    def name_column(self, names: Collection[str]) -> str | None:
        """The column among `names` whose text is the path of the video; None with a template, or without one."""
        if self.template:
            return None
        if "path" in self.columns:
            return self.columns["path"] if self.columns["path"] in names else None
        return next((name for name in COLUMNS if name in names), None)

    def fit(self, names: Collection[str]) -> bool:
        """Whether rows with these columns name a video."""
        if self.template:
            return all(self.source(name) in names for name in self.template.fields)
        return self.name_column(names) is not None or is_kinetics(names)

    def absent(self, names: Collection[str]) -> str | None:
        """A sentence about a chosen column that is not among `names`."""
        for column, why in self.wanted.items():
            if column not in names:
                return f"the list has no column '{shown(column, 60)}' ({shown(why, _NAMES_SHOWN)})"
        return None

    def for_kinetics(self) -> "Choices":
        """The choices for a list of Kinetics: where the command line says nothing, `{youtube_id}.mp4` and its times."""
        template = self.template or (None if "path" in self.columns else Template("{youtube_id}.mp4"))
        return replace(self, columns=KINETICS | dict(self.columns), template=template)

    def for_clips(self, names: Collection[str]) -> "Choices":
        """The choices for a list of videos with clips: where the command line says nothing, `{video_id}.mp4`."""
        chosen = self.fit(names) or "video_id" not in names
        return self if chosen else replace(self, template=Template("{video_id}.mp4"))

    @property
    def used(self) -> set[str]:
        """The columns of a list that were chosen, and those that select parts."""
        return {*self.wanted, *(column for name in PART if (column := self.source(name)))}

    def values(self, row: Mapping[str, object]) -> Mapping[str, object]:
        """The row with the names that its columns get."""
        if not self.columns:
            return row
        return {**row, **{name: row.get(column) if column else None for name, column in self.columns.items()}}

    def kept(self, values: Mapping[str, object]) -> dict[str, str]:
        """The values for the table, as text: what is not text is JSON. Without those that are missing or empty."""
        return {name: _as_text(value) for name in self.keep if (value := values.get(name)) not in (None, "")}

    def row(self, values: Mapping[str, object]) -> Mapping[str, object]:
        """The columns of a row that its item gets; none unless `whole_rows`."""
        return values if self.whole_rows else {}


def is_kinetics(names: Collection[str]) -> bool:
    """Whether a list has the columns of Kinetics, and none of `COLUMNS`."""
    return {"youtube_id", *KINETICS.values()} <= {*names} and not {*COLUMNS} & {*names}


def _as_text(value: object) -> str:
    return escaped(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in text.split(","):
        name, equals, column = (piece.strip() for piece in pair.partition("="))
        if not (name and equals and (column or name in PART)):
            raise InputError(f"--columns {shown(text)}: write name=column with commas between, such as path=youtube_id")
        if name in pairs:
            raise InputError(f"--columns {shown(text)}: {name!r} is there twice")
        pairs[name] = column
    return pairs


def _kept(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len({*names}) < len(names):
        raise InputError(f"--keep {shown(text)}: write each column once, with commas between")
    return tuple(names)
