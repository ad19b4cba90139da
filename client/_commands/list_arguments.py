"""Arguments that say which videos: their names, and which columns of a manifest mean what."""

import argparse

from .._inputs.choices import Choices


def add_videos(parser: argparse.ArgumentParser, *, shards: bool = False) -> None:
    """Add the names of videos; shards: whether they may be names of shards."""
    tar = "tar shards such as 'shards/{000000..000999}.tar', " if shards else ""
    parser.add_argument(
        "videos",
        nargs="*",
        metavar="VIDEO",
        help="file, folder (with all folders below it), pattern such as 'shots/**/*.mp4', the same as URLs "
        f"(s3://bucket/shots/), {tar}or - for one name per line on standard input",
    )


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--columns` and `--path-template`."""
    parser.add_argument(
        "--columns",
        metavar="NAME=COLUMN,...",
        help="columns of the manifest by the names that they get: path, start_seconds, end_seconds or any other; "
        "an empty COLUMN of a part selects none",
    )
    parser.add_argument(
        "--path-template",
        metavar="TEXT",
        help="where each video is, with columns of the manifest in braces: 'videos/{youtube_id}.mp4'",
    )


def choices_from(options: argparse.Namespace, keep: str | None = None) -> Choices:
    """What the command line says about columns. Raises `InputError`."""
    return Choices.of(options.columns, options.path_template, keep)
