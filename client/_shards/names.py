"""Names of shards, of their members, and of the videos in tables that come from them."""

import os
import re

SUFFIXES = (".tar", ".tar.gz", ".tgz")
"""How the names of shards end."""
_IN_SHARD = re.compile(r"\.(?:tar|tar\.gz|tgz)/", re.IGNORECASE)


def is_shard(name: str) -> bool:
    """Whether a name is that of a shard."""
    return name.lower().endswith(SUFFIXES)


def in_shard(shard: str, member: str) -> str:
    """The name of a member in tables: `shard.tar/member`."""
    return f"{shard}/{plain(member)}"


def shard_of(video: str) -> str | None:
    """The shard in a video's name in a table; None if the video is in no shard. Looks whether folders are named so."""
    for found in _IN_SHARD.finditer(video):
        shard = video[: found.end() - 1]
        if found.end() < len(video) and not os.path.isdir(shard):
            return shard
    return None


def plain(member: str) -> str:
    """A member's name without `./`, which tar writes for the files of a folder."""
    return member.removeprefix("./")


def sample_of(member: str) -> str:
    """What the names of all files of one sample begin with: the path up to the first dot of the file's name."""
    folder, slash, name = plain(member).rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"


def ending_of(member: str) -> str:
    """What follows the sample's name and its dot, in lower case: `json` of `0001.json`, `seg.mp4` of `0001.seg.mp4`."""
    return plain(member).rpartition("/")[2].partition(".")[2].lower()
