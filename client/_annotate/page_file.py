"""The page, with everything in it."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from .._learn.answers import COLUMNS, Part
from .._report.previews import Preview
from .._report.template import json_text, page_of
from .pool import Pool

SCRIPTS = ("order.js", "csv.js", "answers.js", "page.js")
"""In the order of their dependencies."""
SHARED = ("format.js", "dom.js")
"""Scripts of the report."""


def page_text(
    pool: Pool,
    previews: Sequence[Preview | None],
    answered: Mapping[Part, bool],
    *,
    annotator: str,
    question: str,
    file_name: str,
    learn_command: str,
    is_served: bool,
) -> str:
    """The HTML.

    previews: of each row, None for a row that is not asked again; is_served: whether answers are sent back.
    """
    rows = [
        {
            "video": part[0],
            "part": [part[1], part[2]],
            "features": [round(float(value), 4) for value in features],
            **_shown(preview),
        }
        for part, features, preview in zip(pool.parts, pool.features, previews, strict=True)
    ]
    identity = hashlib.blake2b(json.dumps([annotator, pool.parts]).encode(), digest_size=8).hexdigest()
    content = {
        "id": identity,
        "annotator": annotator,
        "question": question,
        "fileName": file_name,
        "learnCommand": learn_command,
        "columns": COLUMNS,
        "isServed": is_served,
        "rows": rows,
        "answered": [[row, answered[part]] for row, part in enumerate(pool.parts) if part in answered],
    }
    package = resources.files(__package__)
    report = resources.files(f"{(__package__ or '').rpartition('.')[0]}._report")
    scripts = [(report / "page" / name).read_text("utf-8") for name in SHARED]
    scripts += [(package / "page" / name).read_text("utf-8") for name in SCRIPTS]
    texts = {
        "connect": "'self'" if is_served else "'none'",
        "css": (package / "page" / "annotate.css").read_text("utf-8"),
        "content": json_text(content),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    return page_of((package / "page" / "annotate.html").read_text("utf-8"), texts)


def _shown(preview: Preview | None) -> dict[str, Any]:
    if preview is None:
        return {"mp4": None, "reason": "answered before"}
    return {"mp4": None if preview.mp4 is None else base64.b64encode(preview.mp4).decode(), "reason": preview.reason}
