"""Lists of HD-VG and HD-VILA: videos with clips, and clips with scenes, in JSON. Each scene is a row.

HD-VG: `{video_id: {url, clip: {name: {span: [start, end], fps, scene_split: [{clip_id, caption, scene_cut: [first,
last]}]}}}}`. The frames of `scene_cut` count from the start of the span; a last frame of -1 is its end. HD-VILA: one
object a line, `{video_id, url, clip: [{clip_id, span}]}`; a clip without `scene_split` is one part.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from .choices import PART
from .json_stream import member_of
from .times import seconds_of

CLIPS = "clip"
VIDEO_ID = "video_id"
_SIGNS = (re.compile(r'"clip"\s*:\s*[{\[]'), re.compile(r'"span"\s*:\s*\['))
_SCENES = "scene_split"
_SHOWN = 60

Row = dict[str, Any]


def is_video(value: object) -> bool:
    """Whether a JSON value is a video with clips that have spans."""
    clips = [*_named(value.get(CLIPS))] if isinstance(value, dict) else []
    return any(isinstance(clip, dict) and "span" in clip for _, clip in clips)


def first_video(head: str) -> tuple[str, Any] | None:
    """The first member of the object that a text begins with, if its value is a video with clips.

    A video that is longer than the text has the value `{}`.
    """
    start = head.lstrip()
    if not start.startswith("{"):
        return None
    try:
        key, value = member_of(start[1:].lstrip())[0]
    except RecursionError:
        return None
    except ValueError:
        return ("", {}) if all(sign.search(head) for sign in _SIGNS) else None
    has_clips = isinstance(value, dict) and isinstance(value.get(CLIPS), dict)  # there may be none
    return (key, value) if has_clips else None


def rows_of(key: str | None, video: Mapping[str, Any]) -> Iterator[tuple[Row, str | None]]:
    """A row for each scene, with what is wrong with it, if anything.

    A row has the single values of the video, the clip and the scene, `video_id`, `clip` (the name), `scene` (a number
    from 0) and the part. key: the name of the video, if the list names it so.
    """
    known = _single(video) | ({} if key is None else {VIDEO_ID: key})
    for name, clip in _named(video.get(CLIPS)):
        if not isinstance(clip, dict):
            yield known | {CLIPS: name}, "the clip is no object"
            continue
        with_clip = known | _single(clip) | {CLIPS: name}
        scenes = clip.get(_SCENES)
        if not scenes:
            yield with_clip | _part(clip, None)[0], _part(clip, None)[1]
            continue
        for number, scene in enumerate(scenes if isinstance(scenes, list) else [scenes]):
            single = _single(scene) if isinstance(scene, dict) else {}
            part, problem = _part(clip, scene)
            yield with_clip | single | {"scene": number} | part, problem


def _part(clip: Mapping[str, Any], scene: object) -> tuple[Row, str | None]:
    """The part of a scene, or of the whole clip if it is None; or what is wrong with it."""
    span = clip.get("span")
    start, end = map(seconds_of, span) if _is_pair(span) else (math.nan, math.nan)
    if not 0 <= start < end < math.inf:
        return {}, f"the clip's span is {_shown(span)}, not two times"
    cut = scene.get("scene_cut") if isinstance(scene, dict) else None
    if scene is None:
        return dict(zip(PART, (start, end), strict=True)), None
    if not (_is_pair(cut) and all(type(frame) is int for frame in cut)):
        return {}, f"the scene's scene_cut is {_shown(cut)}, not two frames"
    first, last = cut
    fps = clip.get("fps")
    rate = seconds_of(fps)
    if not 0 < rate < math.inf and (first, last) != (0, -1):
        return {}, f"the clip's fps is {_shown(fps)}, so the scene's frames have no times"
    begin = start + (first / rate if first else 0)
    finish = end if last == -1 else start + last / rate
    if first < 0 or begin >= finish:
        return {}, f"the scene's scene_cut is {_shown(cut)}, which selects no frame"
    return dict(zip(PART, (begin, finish), strict=True)), None


def _is_pair(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and len(value) == 2


def _named(clips: object) -> Iterator[tuple[str, Any]]:
    """Clips with their names, from an object or from a list."""
    if isinstance(clips, dict):
        yield from clips.items()
    elif isinstance(clips, Sequence) and not isinstance(clips, str):
        for clip in clips:
            yield str(clip.get("clip_id", "")) if isinstance(clip, dict) else "", clip


def _single(values: Mapping[str, Any]) -> Row:
    return {name: value for name, value in values.items() if not isinstance(value, dict | list)}


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
