"""The videos of a shard, with what stands beside each of them."""

import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from ..errors import ClientError, InvalidRequest, UnreadableFile
from .archive import Archive, open_archive
from .names import ending_of, in_shard, sample_of
from .opening import open_stream

CAPTION = "caption"
"""What the text of a `.txt` is called, unless the `.json` has a value of this name."""
LARGEST_VIDEO = 2**31 - 2**20
"""Bytes that a request can carry."""
LARGEST_NOTE = 16 << 20
"""Bytes of the largest `.json` or `.txt` that is read."""
NOTES = ("json", "txt")
"""The endings of what stands beside a video."""


@dataclass(frozen=True)
class ShardVideo:
    """A video in a shard."""

    name: str
    """`shard.tar/member`."""
    data: bytes | None = field(repr=False)
    """The encoded file; None if it was not read: nobody wants it, or there is a problem."""
    problem: ClientError | None = None
    """Why it cannot be scored."""
    values: Mapping[str, object] = field(default_factory=dict)
    """What stands beside it: the values of the `.json`, and `caption`."""


def videos_of(
    shard: str,
    takes: Callable[[str], bool],
    *,
    wants: Callable[[str], bool] = lambda _: True,
    beside: bool = False,
    left_out: Callable[[str], object] = lambda _: None,
    limit: int = LARGEST_VIDEO,
    opened: Callable[[str], BinaryIO] = open_stream,
) -> Iterator[ShardVideo]:
    """The videos of a shard, read once from its start to its end. Raises `UnreadableFile`.

    takes: whether a member with this name is a video. wants: whether to read the video of this name.
    beside: whether to read the `.json` and the `.txt` of its sample, too; then the videos of a sample are in memory at
    once, otherwise one video. left_out: called with the names of members that are neither.
    limit: a larger video has a problem, and is not read. opened: gives the shard as a stream.
    """
    with open_archive(shard, opened) as archive:
        sample = _Sample("")
        for member in archive:
            is_note = ending_of(member.name) in NOTES
            if sample_of(member.name) != sample.name:
                yield from sample.noted()
                sample = _Sample(sample_of(member.name))
            if not is_note and takes(member.name):
                video = _video(in_shard(shard, member.name), archive, member, wants, limit)
                if beside:
                    sample.videos.append(video)
                else:
                    yield video
            elif not is_note:
                left_out(member.name)
            elif beside and member.isfile():
                sample.add(archive, member)
        yield from sample.noted()


def _video(
    name: str, archive: Archive, member: tarfile.TarInfo, wants: Callable[[str], bool], limit: int
) -> ShardVideo:
    if not member.isfile():
        return ShardVideo(name, None, UnreadableFile("the member of the shard is a link or a device, not a file"))
    if member.size > limit:
        why = f"the file has {member.size / 2**30:.1f} GiB; a request can carry {limit / 2**30:.0f} GiB"
        return ShardVideo(name, None, InvalidRequest(why, reason="too_large"))
    return ShardVideo(name, archive.read(member) if wants(name) else None)


class _Sample:
    """The files of a shard whose names begin alike, and follow one another."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.videos: list[ShardVideo] = []
        self._notes: dict[str, bytes] = {}
        self._problem: ClientError | None = None

    def add(self, archive: Archive, member: tarfile.TarInfo) -> None:
        """Read a `.json` or `.txt`."""
        ending = ending_of(member.name)
        if member.size > LARGEST_NOTE:
            limit = f"at most {LARGEST_NOTE >> 20} MiB are read"
            self._problem = UnreadableFile(f"the .{ending} beside it in the shard has {member.size:,} bytes, {limit}")
        else:
            self._notes[ending] = archive.read(member)

    def noted(self) -> Iterator[ShardVideo]:
        """The videos with the values that stand beside them."""
        if not self.videos:
            return
        values: dict[str, object] = {}
        problem = self._problem
        if "txt" in self._notes:
            values[CAPTION] = self._notes["txt"].decode("utf-8-sig", "backslashreplace").strip()
        if "json" in self._notes:
            try:
                content = json.loads(self._notes["json"])
            except (ValueError, RecursionError):
                content = None
            if isinstance(content, dict):
                values |= content
            else:
                problem = UnreadableFile("the .json beside it in the shard is no JSON object")
        for video in self.videos:
            yield replace(video, values=values, problem=video.problem or problem)
