"""A page with a preview of each video that was found."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from .._report.previews import PREVIEW_SECONDS, Preview, Segment, make_previews
from .._tables.found import not_found, place_of
from .._tables.replace import replacing
from .hits import Hit

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 24px; color: #222; background: #fff }}
h1 {{ font-size: 20px }}
ol {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); gap: 16px }}
ol {{ padding: 0; list-style: none }}
li {{ overflow-wrap: anywhere }}
video, .none {{ width: 100%; aspect-ratio: 16 / 9; background: #eee; object-fit: contain }}
.none {{ display: grid; place-items: center; color: #666 }}
b {{ font-variant-numeric: tabular-nums }}
@media (prefers-color-scheme: dark) {{
body {{ color: #ddd; background: #181818 }}
video, .none {{ background: #333 }}
}}
</style>
<h1>{title}</h1>
<p>{about}</p>
<ol>
{items}
</ol>
"""


def write_page(output: Path, table: Path, title: str, hits: Sequence[Hit], rows: Sequence[dict[str, Any]]) -> int:
    """Write a page that needs no network; returns how many videos have no preview. Raises OSError.

    rows: the rows of `hits`, with `video`, `start_seconds`, `end_seconds` and `duration_seconds`.
    """
    segments = [_segment(hit, row, table) for hit, row in zip(hits, rows, strict=True)]
    previews = make_previews(segment for segment in segments if segment is not None)
    shown = [
        Preview(None, not_found(row["video"])) if segment is None else previews[segment]
        for segment, row in zip(segments, rows, strict=True)
    ]
    items = [_item(rank, *each) for rank, each in enumerate(zip(hits, rows, shown, strict=True), 1)]
    if len(hits) == 1:
        about = f"The video of {table.name} that fits best, around the frame that fits best."
    else:
        about = f"The {len(hits):,} videos of {table.name} that fit best, each around the frame that fits best."
    page = _PAGE.format(title=escape(title), about=escape(about), items="\n".join(items))
    with replacing(output) as partial:
        partial.write_text(page, "utf-8")
    return sum(preview.mp4 is None for preview in shown)


def _segment(hit: Hit, row: dict[str, Any], table: Path) -> Segment | None:
    """The seconds around the best frame; the first of the part if it is not known which."""
    path = place_of(row["video"], table)
    if path is None:
        return None
    start = row["start_seconds"] or 0.0
    begin = start if hit.best_seconds is None else max(0.0, hit.best_seconds - PREVIEW_SECONDS / 2)
    return Segment(path, round(begin, 3), round(begin + PREVIEW_SECONDS, 3))


def _item(rank: int, hit: Hit, row: dict[str, Any], preview: Preview) -> str:
    if preview.mp4 is None:
        picture = f'<div class="none">{escape(preview.reason)}</div>'
    else:
        data = base64.b64encode(preview.mp4).decode()
        picture = f'<video src="data:video/mp4;base64,{data}" autoplay loop muted playsinline controls></video>'
    second = "" if hit.best_seconds is None else f", best at {hit.best_seconds:.1f} s"
    topic = "" if hit.topic is None else f"<br>{escape(hit.topic)} {hit.topic_similarity:.3f}"
    numbers = f"<b>{rank}. {hit.similarity:.3f}</b> (mean {hit.similarity_mean:.3f}{second}){topic}"
    return f"<li>{picture}{numbers}<br>{escape(row['video'])}</li>"
