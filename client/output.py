"""The formats of the table that are text."""

import csv
import io
import json

from client.record import FLAT_COLUMNS, Record, flat


def as_json_line(record: Record) -> str:
    """A line of JSON."""
    return json.dumps(record) + "\n"


def csv_header() -> str:
    """The first line of a CSV file."""
    return _csv([*FLAT_COLUMNS, "clips"])


def as_csv_row(record: Record) -> str:
    """The flat columns, and the clips as JSON."""
    clips = json.dumps(record["camera"]) if "camera" in record else None
    return _csv([*flat(record).values(), clips])


def _csv(values: list[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
