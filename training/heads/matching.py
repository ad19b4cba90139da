"""Which video of the tables each labelled video is."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from training.heads.errors import HeadError, listed


@dataclass(frozen=True)
class Match:
    """Labelled videos and videos of the tables."""

    of: dict[str, str]
    """For each labelled video that was found, its name in the tables."""
    by_file_name: int
    """How many of these have another folder in the tables."""
    absent: tuple[str, ...]
    """Labelled videos that the tables do not have."""


def match(labelled: Iterable[str], rows: Iterable[str]) -> Match:
    """Match labelled videos with the `video` of each row of the tables.

    Names match if they are equal or, failing that, if their last parts are equal and belong to one video on either
    side. Raises `HeadError` if such a part belongs to several, or if a labelled video has several rows.
    """
    times = Counter(rows)
    found = {video: video for video in labelled if video in times}
    left: defaultdict[str, list[str]] = defaultdict(list)
    for video in labelled:
        if video not in found:
            left[_file_name(video)].append(video)
    candidates: defaultdict[str, list[str]] = defaultdict(list)
    for name in times:
        if name not in found and _file_name(name) in left:
            candidates[_file_name(name)].append(name)
    absent: list[str] = []
    by_file_name = 0
    for file_name, videos in left.items():
        there = candidates[file_name]
        if not there:
            absent += videos
        elif len(there) > 1:
            raise HeadError(
                f"{videos[0]} of the labels could be {len(there)} videos of the tables ({listed(there)}): "
                "write its name as the tables do"
            )
        elif len(videos) > 1:
            raise HeadError(
                f"{len(videos)} videos of the labels ({listed(videos)}) could be {there[0]} of the tables: "
                "write their names as the tables do"
            )
        else:
            found[videos[0]] = there[0]
            by_file_name += 1
    if several := [name for name in found.values() if times[name] > 1]:
        raise HeadError(
            f"labelled videos with more than one row in the tables: {listed(several)}; keep one row of each, because "
            "a label does not say which one it means"
        )
    return Match(found, by_file_name, tuple(absent))


def _file_name(video: str) -> str:
    return re.split(r"[/\\]", video)[-1]
