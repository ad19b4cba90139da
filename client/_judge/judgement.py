"""What a generator did of what was asked."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any

from .._tables.presets import COLUMNS
from .observed import NONE, Observed
from .prompts import Prompt
from .requested import MOVES
from .statistics import Interval, mean, sign_test, wilson


@dataclass(frozen=True)
class Adherence:
    """How often a requested move is shown."""

    move: str
    """The move, a key of `MOVES`."""
    videos: int
    """Videos of prompts that ask for it."""
    share: Interval | None
    """Of these, the share that shows it; None if the weights lack the labels for it."""


@dataclass(frozen=True)
class Missed:
    """A video that does not show what its prompt asks for."""

    video: str
    """Its path, as in the table."""
    prompt: str
    """The prompt."""
    moves: list[str]
    """The requested moves that it does not show."""
    observed: str
    """Its move of most seconds; `none` if there is none."""


@dataclass(frozen=True)
class Failed:
    """A video that has no scores."""

    video: str
    """Its path, as in the table."""
    prompt: str
    """The prompt."""
    why: str
    """The error of its row."""


@dataclass
class Judgement:
    """A generator."""

    name: str
    """What it is called."""
    prompts: int
    """Prompts with a video."""
    no_move_asked: int
    """Those of them that ask for no camera move, or for none for certain."""
    missing: list[str]
    """Prompts without a video, scored or failed."""
    videos: int
    """Videos of prompts."""
    adherence: list[Adherence]
    """For each requested move, and last for all moves of a prompt together (`all`), if any prompt asks for one."""
    requested: list[str]
    """The rows of `confusion`."""
    observed: list[str]
    """Its columns: the move of most seconds, `none` last."""
    confusion: list[list[int]]
    """Videos by requested and observed move."""
    scores: dict[str, dict[str, Interval]]
    """For each category and score (`camera`, `object`, `dynamics`) the mean; for `all` if there is more than one."""
    moving: Interval | None
    """The share of videos that the preset `static` does not take."""
    missed: list[Missed]
    """The videos that do not show what was asked for."""
    not_told: list[str]
    """Requested moves whose labels the weights lack: no video can be said to show or to miss them."""
    failed: list[Failed] = field(default_factory=list)
    """Videos of prompts that have no scores."""
    weights: dict[str, str] = field(default_factory=dict)
    """Where the weights come from, by network; empty if the table does not say."""
    parameters: dict[str, float] = field(default_factory=dict)
    """Of the requests."""
    notes: list[str] = field(default_factory=list)
    """What to know before the figures are used."""
    dynamic_degree: Interval | None = None
    """The share that is dynamic by VBench's rule; None if not measured."""
    agreement: list[list[int]] = field(default_factory=list)
    """Videos by moving (rows: no, yes) and dynamic (columns: no, yes)."""
    not_measured: dict[str, str] = field(default_factory=dict)
    """Videos that VBench's rule could not be measured for, and why."""

    def as_dict(self) -> dict[str, Any]:
        """The judgement as JSON."""
        return asdict(self)


def judge(
    name: str,
    prompts: Sequence[Prompt],
    matched: Sequence[Sequence[Observed]],
    dynamic: dict[str, bool | str] | None = None,
    *,
    failed: Sequence[Sequence[tuple[str, str]]] = (),
    labels: Collection[str] = (),
) -> Judgement:
    """Judge a generator; `matched` has the videos of each prompt.

    failed: for each prompt, the videos that have no scores, with the reasons.
    labels: those of the weights; empty if they are not known, and then any may be there.
    """
    videos = list(chain.from_iterable(matched))
    asked = [(prompt, video) for prompt, found in zip(prompts, matched, strict=True) for video in found]
    requested = [move for move in MOVES if any(move in prompt.moves for prompt, _ in asked)]
    not_told = [move for move in requested if not is_told(move, labels)]
    adherence = []
    for move in requested:
        shown = [video.fulfils(move) for prompt, video in asked if move in prompt.moves]
        adherence.append(Adherence(move, len(shown), None if move in not_told else _share(shown)))
    if requested:
        shown = [fulfilled(prompt.moves, video) for prompt, video in asked if are_told(prompt, labels)]
        adherence.append(Adherence("all", len(shown), wilson(sum(shown), len(shown))))
    columns = [move for move in MOVES if any(video.longest == move for prompt, video in asked if prompt.moves)] + [NONE]
    confusion = [
        [sum(move in prompt.moves and video.longest == column for prompt, video in asked) for column in columns]
        for move in requested
    ]
    without = failed or [()] * len(prompts)
    judgement = Judgement(
        name=name,
        prompts=sum(map(bool, matched)),
        no_move_asked=sum(bool(found) and not prompt.moves for prompt, found in zip(prompts, matched, strict=True)),
        missing=[
            prompt.text
            for prompt, found, others in zip(prompts, matched, without, strict=True)
            if not found and not others
        ],
        videos=len(videos),
        adherence=adherence,
        requested=requested,
        observed=columns,
        confusion=confusion,
        scores=_scores(prompts, matched),
        moving=wilson(sum(not video.is_static for video in videos), len(videos)),
        missed=list(_missed(asked, not_told)),
        not_told=not_told,
        failed=[
            Failed(video, prompt.text, why)
            for prompt, found in zip(prompts, without, strict=True)
            for video, why in found
        ],
    )
    if dynamic is not None:
        _add_dynamic_degree(judgement, videos, dynamic)
    return judgement


def is_told(move: str, labels: Collection[str]) -> bool:
    """Whether weights with these labels can tell a move; yes if they are not known."""
    return not labels or not set(MOVES[move]).isdisjoint(labels)


def are_told(prompt: Prompt, labels: Collection[str]) -> bool:
    """Whether a prompt asks for moves, and all of them can be told."""
    return bool(prompt.moves) and all(is_told(move, labels) for move in prompt.moves)


def _missed(asked: Sequence[tuple[Prompt, Observed]], not_told: Sequence[str]) -> Iterator[Missed]:
    for prompt, video in asked:
        if moves := [move for move in prompt.moves if move not in not_told and not video.fulfils(move)]:
            yield Missed(video.video, prompt.text, moves, video.longest)


def fulfilled(moves: Sequence[str], video: Observed) -> bool:
    """Whether a video shows all moves that its prompt asks for."""
    return all(video.fulfils(move) for move in moves)


@dataclass(frozen=True)
class Comparison:
    """Two generators on the same prompts."""

    what: str
    """What is compared: `adherence`, or a score."""
    wins: int
    """Prompts on which the first has more."""
    losses: int
    """Prompts on which the second has more."""
    ties: int
    """Prompts on which both have the same."""
    p: float
    """Of the two-sided exact sign test."""


def compare(
    prompts: Sequence[Prompt],
    first: Sequence[Sequence[Observed]],
    second: Sequence[Sequence[Observed]],
    labels: Collection[str] = (),
) -> list[Comparison]:
    """Compare two generators on the prompts that both have videos of, by the means over each prompt's videos.

    labels: those of the weights of both; adherence is compared where they tell all moves of a prompt.
    """
    both = [each for each in zip(prompts, first, second, strict=True) if each[1] and each[2]]
    asked = [
        (_adherence(prompt, one), _adherence(prompt, two)) for prompt, one, two in both if are_told(prompt, labels)
    ]
    found = [_compared("adherence", asked)] if asked else []
    for score in COLUMNS:
        found.append(_compared(score, [(_mean_score(one, score), _mean_score(two, score)) for _, one, two in both]))
    return found


def _compared(what: str, pairs: list[tuple[float, float]]) -> Comparison:
    wins, losses = sum(one > two for one, two in pairs), sum(one < two for one, two in pairs)
    return Comparison(what, wins, losses, len(pairs) - wins - losses, sign_test(wins, losses))


def _adherence(prompt: Prompt, videos: Sequence[Observed]) -> float:
    return sum(fulfilled(prompt.moves, video) for video in videos) / len(videos)


def _mean_score(videos: Sequence[Observed], score: str) -> float:
    return sum(video.scores[score] for video in videos) / len(videos)


def _scores(prompts: Sequence[Prompt], matched: Sequence[Sequence[Observed]]) -> dict[str, dict[str, Interval]]:
    categories: dict[str, list[Observed]] = {}
    for prompt, videos in zip(prompts, matched, strict=True):
        categories.setdefault(prompt.category, []).extend(videos)
    if len(categories) > 1:
        categories["all"] = list(chain.from_iterable(matched))
    found = {}
    for category, videos in categories.items():
        means = {score: mean([video.scores[score] for video in videos]) for score in COLUMNS}
        if videos:
            found[category] = {score: value for score, value in means.items() if value is not None}
    return found


def _add_dynamic_degree(judgement: Judgement, videos: Sequence[Observed], dynamic: dict[str, bool | str]) -> None:
    judgement.agreement = [[0, 0], [0, 0]]
    for video in videos:
        found = dynamic[video.video]
        if isinstance(found, str):
            judgement.not_measured[video.video] = found
        else:
            judgement.agreement[not video.is_static][found] += 1
    measured = sum(map(sum, judgement.agreement))
    judgement.dynamic_degree = wilson(sum(row[1] for row in judgement.agreement), measured)


def _share(shown: Sequence[bool]) -> Interval:
    interval = wilson(sum(shown), len(shown))
    assert interval is not None
    return interval
