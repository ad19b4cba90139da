"""Scores in words: a sentence for captions, and a short form for prompts."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .._sdk.result import Score
from ..intervals import LabelledClip, table_clips
from .english import ENGLISH
from .language import Language
from .stages import Stage, stages_of

CUTOFFS = {"low": 0.5, "medium": 1.0, "high": 2.0}
"""The least score of each strength; below the first it is `none`. 0.5 is also the cut-off of the preset `static`."""
MAX_STAGES = 4
"""Of more stages than this, a sentence names only which moves there are."""


@dataclass(frozen=True)
class Phrases:
    """What the scores of a video say, in words; empty if they say nothing."""

    sentence: str
    """For captions: `the camera pans left, then zooms in; the subject moves strongly`."""
    short: str
    """For prompts: `camera motion: pan left, zoom in; motion strength: high`."""


def describe(score: Score, language: Language = ENGLISH) -> Phrases:
    """A score in words. Only labels that the clips have, from `LABEL_THRESHOLD` on, are mentioned."""
    return _describe(vars(score.motion) if score.motion else {}, score.camera or (), language)


def describe_row(row: Mapping[str, Any], language: Language = ENGLISH) -> Phrases:
    """The same for a row of a table, or of JSON lines; for a video that failed, both phrases are empty."""
    motion = row.get("motion") or {name: row.get(name) for name in ("camera_movement_score", "object_movement_score")}
    if "motion" not in row:
        motion["dynamics_score"] = row.get("dynamics_score")
    clips = row.get("clips") if "clips" in row else row.get("camera")
    return _describe(motion, table_clips(clips), language)


def strength(score: float) -> str:
    """The strength of a motion score by `CUTOFFS`: `none`, `low`, `medium` or `high`."""
    return next((name for name, least in reversed(CUTOFFS.items()) if score >= least), "none")


def _describe(motion: Mapping[str, float | None], clips: Iterable[LabelledClip], language: Language) -> Phrases:
    clips = list(clips)
    stages = stages_of(clips, language.moves)
    scores = {name: value for name, value in motion.items() if value is not None and math.isfinite(value)}
    has_point_of_view = any("pov" in clip.labels for clip in clips)
    clauses = [_camera(stages, language)] if stages else []
    if has_point_of_view:
        clauses.append(language.point_of_view)
    if (objects := scores.get("object_movement_score")) is not None:
        clauses.append(language.subject[strength(objects)])
    if strength(scores.get("dynamics_score", 0)) == "high":
        clauses.append(language.changes)
    labels = _once(stages_of(clips)) + (["pov"] if has_point_of_view else [])
    short = [language.camera_motion.format(labels=", ".join(map(_spelled, labels)))] if labels else []
    movement = [value for name, value in scores.items() if name != "dynamics_score"]
    if movement:
        short.append(language.motion_strength.format(strength=strength(max(movement))))
    return Phrases(language.clause_separator.join(clauses), language.clause_separator.join(short))


def _camera(stages: list[Stage], language: Language) -> str:
    if len(stages) > MAX_STAGES:
        moves = [label for label in _once(stages) if label != "static"]
        if len(moves) == 1:
            return language.pauses.format(move=_move(moves[0], language))
        return language.many.format(stages=language.listed([_move(label, language) for label in moves]))
    text = language.listed([_move(label, language) for label in stages[0]])
    for before, stage in pairwise(stages):
        words = [_move(label, language) for label in stage]
        verb, rest = language.moves[stage[0]]
        if len(stage) == len(before) == 1 and rest and language.moves[before[0]][0] == verb:
            words = [rest]  # pans left, then right
        said = language.listed(words)
        if set(stage) > set(before):
            said = language.also.format(
                stage=language.listed([_move(label, language) for label in stage if label not in before])
            )
        elif set(stage) < set(before):
            said = language.only.format(stage=said)
        text += language.then.format(stage=said)
    return language.camera.format(stages=text)


def _once(stages: list[Stage]) -> list[str]:
    """All labels, each once, in the order of their first stages."""
    return list(dict.fromkeys(label for stage in stages for label in stage))


def _move(label: str, language: Language) -> str:
    return " ".join(filter(None, language.moves[label]))


def _spelled(label: str) -> str:
    return label.replace("_", " ")
