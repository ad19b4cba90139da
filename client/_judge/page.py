"""The page of a judgement: one HTML file that needs no network and no script."""

import html
from collections.abc import Iterable, Sequence
from importlib.resources import files
from string import Template

from .._counted import counted
from .._tables.presets import COLUMNS
from .judgement import Adherence, Comparison, Judgement
from .statistics import Interval

FAILURES_SHOWN = 20
MISSED_SHOWN = 100
ALL = "all: videos that show every move of their prompt, of those whose prompt asks for one."
NOT_TOLD = "not told by these weights"
EXPLANATION = (
    "Moving is the share of videos that the preset static does not take: is the camera or object score at least 0.5, "
    "or dynamics at least 1.0? Dynamic degree is VBench's rule: do the largest lengths of optical flow exceed a "
    "threshold in a quarter of the pairs? A flicker is dynamic by that rule, and so are small, fast objects; slow "
    "moves of the picture are not. VBench measures flow with RAFT, this page with Farneback's method, so compare the "
    "figure with others of this command, not with published tables."
)


def page(
    judgements: Sequence[Judgement], comparisons: Sequence[Comparison], title: str, notes: Sequence[str] = ()
) -> str:
    """The page; `notes` are about all generators."""
    parts = [*map(_note, notes), *map(_judgement, judgements)]
    if comparisons:
        parts.append(_comparison(judgements, comparisons))
    template = Template(files(__package__).joinpath("page.html").read_text())
    return template.substitute(title=html.escape(title), content="\n".join(parts))


def _judgement(judgement: Judgement) -> str:
    parts = [f"<h2>{html.escape(judgement.name)}</h2>", *map(_note, judgement.notes)]
    parts.append(f"<p>{counted(judgement.videos, 'video')} of {counted(judgement.prompts, 'prompt')}.</p>")
    if judgement.no_move_asked:
        ask = "asks" if judgement.no_move_asked == 1 else "ask"
        prompts = counted(judgement.no_move_asked, "prompt")
        parts.append(
            f"<p>{prompts} {ask} for no camera move, or for none for certain: only the scores count these.</p>"
        )
    weights = "; ".join(f"{network}: {source}" for network, source in judgement.weights.items()) or "the table has none"
    parts.append(f"<p>Weights: {html.escape(weights)}</p>")
    if judgement.missing:
        shown = "; ".join(html.escape(text) for text in judgement.missing[:FAILURES_SHOWN])
        have = "has" if len(judgement.missing) == 1 else "have"
        parts.append(f"<p>{counted(len(judgement.missing), 'prompt')} {have} no video: {shown}</p>")
    if judgement.failed:
        have = "has" if len(judgement.failed) == 1 else "have"
        parts.append(f"<p>{counted(len(judgement.failed), 'video')} {have} no scores:</p>")
        rows = [[each.video, each.prompt, each.why] for each in judgement.failed[:FAILURES_SHOWN]]
        parts.append(_table(("video", "prompt", "why"), rows))
    if judgement.adherence:
        rows = [[each.move, str(each.videos), *_shown(each)] for each in judgement.adherence]
        parts += ["<h3>Requested moves that are shown</h3>", _table(("move", "videos", "share (95 %)", ""), rows)]
        parts.append(f"<p>{ALL}</p>")
        parts += ["<h3>Requested (rows) and observed (columns) moves</h3>", _confusion(judgement)]
    else:
        parts.append("<p>No prompt asks for a camera move.</p>")
    if judgement.missed:
        most = min(len(judgement.missed), MISSED_SHOWN)
        title = "Videos that miss a requested move"
        if most < len(judgement.missed):
            title += f", {most} of {len(judgement.missed):,}; the JSON has all"
        rows = [
            [each.video, each.prompt, ", ".join(each.moves), each.observed] for each in judgement.missed[:MISSED_SHOWN]
        ]
        header = ("video", "prompt", "not shown", "longest move")
        parts += [f"<h3>{title}</h3>", _table(header, rows)]
    rows = [[name, *(_number(means[score]) for score in COLUMNS)] for name, means in judgement.scores.items()]
    parts += ["<h3>Mean scores by category (95 %)</h3>", _table(("category", *COLUMNS), rows)]
    figures = [["moving", _percent(judgement.moving)]]
    if judgement.dynamic_degree is not None:
        figures.append(["dynamic degree", _percent(judgement.dynamic_degree)])
    parts += ["<h3>Movement at all</h3>", _table(("", "share of videos (95 %)"), figures)]
    if judgement.agreement:
        names = ("not moving", "moving")
        rows = [[name, *map(str, row)] for name, row in zip(names, judgement.agreement, strict=True)]
        parts += [_table(("", "not dynamic", "dynamic"), rows), f"<p>{EXPLANATION}</p>"]
    if judgement.not_measured:
        some = list(judgement.not_measured.items())[:FAILURES_SHOWN]
        parts.append(f"<p>{counted(len(judgement.not_measured), 'video')} could not be measured:</p>")
        parts.append(_table(("video", "why"), [[video, why] for video, why in some]))
    return f"<section>{''.join(parts)}</section>"


def _note(note: str) -> str:
    return f"<p class=note><strong>Note:</strong> {html.escape(note)}</p>"


def _shown(adherence: Adherence) -> tuple[str, str]:
    if adherence.share is None:
        return NOT_TOLD, ""
    return _percent(adherence.share), _bar(adherence.share)


def _comparison(judgements: Sequence[Judgement], comparisons: Sequence[Comparison]) -> str:
    first, second = (judgement.name for judgement in judgements)
    rows = [[each.what, str(each.wins), str(each.losses), str(each.ties), f"{each.p:.3g}"] for each in comparisons]
    header = ("", f"{first} has more", f"{second} has more", "the same", "p (sign test)")
    return f"<section><h2>Prompt by prompt</h2>{_table(header, rows)}</section>"


def _confusion(judgement: Judgement) -> str:
    largest = max(max(row) for row in judgement.confusion) or 1
    lines = []
    for move, row in zip(judgement.requested, judgement.confusion, strict=True):
        cells = "".join(
            f'<td style="--share:{count / largest:.3f}">{count}</td>' if count else "<td class=zero>0</td>"
            for count in row
        )
        lines.append(f"<tr><th scope=row>{move}</th>{cells}</tr>")
    header = "".join(f"<th scope=col>{column}</th>" for column in judgement.observed)
    return (
        f"<div class=scroll tabindex=0><table class=confusion><tr><td></td>{header}</tr>{''.join(lines)}</table></div>"
    )


def _table(header: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    titles = "".join(f"<th scope=col>{html.escape(cell)}</th>" for cell in header)
    lines = ["".join(_cell(cell) for cell in row) for row in rows]
    return f"<div class=scroll><table><tr>{titles}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table></div>"


def _cell(cell: str) -> str:
    return f"<td>{cell if cell.startswith('<i ') else html.escape(cell)}</td>"


def _bar(share: Interval) -> str:
    return f'<i class=bar style="--low:{share.low:.3f};--value:{share.value:.3f};--high:{share.high:.3f}"></i>'


def _percent(share: Interval | None) -> str:
    return "-" if share is None else f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"


def _number(value: Interval) -> str:
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
