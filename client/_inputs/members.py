"""The videos that a shard stands for, in its place among the inputs."""

import os
from collections.abc import Callable, Iterable, Iterator

from .._shards.names import is_shard, shard_of
from .._shards.videos import ShardVideo, videos_of
from ..errors import UnreadableFile
from .braces import expanded
from .choices import Choices
from .item import Content, Item
from .names import shown
from .remote import PASSING
from .skipped import Skipped
from .walk import Choice

Wants = Callable[[Item], bool]
"""Whether to read the video of an item: one that the run has already is not read."""


def may_name_shards(argument: str) -> bool:
    """Whether an argument names a shard, or files that may be shards."""
    return is_shard(next(expanded(argument)))


def with_members(
    items: Iterable[Item], choice: Choice, choices: Choices, skipped: Skipped, wants: Wants | None = None
) -> Iterator[Item]:
    """The items, and in the place of each shard the videos in it; a shard that cannot be read is noted in `skipped`.

    wants: asked before a video in a shard is read; what it does not want comes `unread`.
    """
    for item in items:
        if item.content is not None or item.problem is not None:
            yield item
        elif is_shard(item.path) and not os.path.isdir(item.path):
            yield from _members(item, choice, choices, skipped, wants)
        else:
            yield _outside(item)


def _members(shard: Item, choice: Choice, choices: Choices, skipped: Skipped, wants: Wants | None) -> Iterator[Item]:
    others = Skipped()
    count = 0

    def named(name: str) -> Item:
        return Item(name, shard.start_seconds, shard.end_seconds, member=True)

    try:
        for video in videos_of(
            shard.path,
            choice.takes,
            wants=lambda name: wants is None or wants(named(name)),
            beside=bool(choices.keep),
            left_out=others.file,
        ):
            count += 1
            skipped.sample({name for name in choices.keep if choices.source(name) in video.values}, choices.keep)
            yield _item(video, shard, choices)
    except UnreadableFile as error:
        if error.reason in PASSING:
            raise UnreadableFile(f"{shard.shown}: {error}", reason=error.reason) from error
        before = f"; videos before that: {count:,}" if count else ""
        skipped.trouble(f"{shard.shown}: {error}{before}")
        return
    if not count:
        what = f", but other files: {others.files()} (--any tries every file)" if others.files() else ""
        skipped.trouble(f"{shard.shown}: the shard has no videos{what}")


def _item(video: ShardVideo, shard: Item, choices: Choices) -> Item:
    is_unread = video.data is None and video.problem is None
    return Item(
        video.name,
        shard.start_seconds,
        shard.end_seconds,
        None if video.data is None or video.problem else Content.of_member(video.data),
        video.problem,
        kept={**shard.kept, **choices.kept(choices.values(video.values))},
        member=True,
        unread=is_unread,
    )


def _outside(item: Item) -> Item:
    """The item; with a problem if only its shard can be read."""
    shard = shard_of(item.path)
    if shard is None or not os.path.isfile(shard):
        return item
    why = f"the video is in a shard, which is read as a whole: name {shown(shard)}"
    return Item(item.path, item.start_seconds, item.end_seconds, problem=UnreadableFile(why), kept=item.kept)
