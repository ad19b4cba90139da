"""The command `scenes`: find the scenes of footage, and write them as a manifest for `score`."""

import argparse
import os
import sys

from .._inputs.errors import InputError
from .._inputs.inputs import STANDARD_INPUT, Inputs, refuse_missing
from .._os_errors import sentence_of
from .._scenes.run import run_scenes
from .._scenes.settings import DEFAULT_DETECTORS, SHORTEST_SCENE_SECONDS, THRESHOLDS, Settings
from .._tables.journal import JournalError, OtherTerms
from .._tables.output import OutputError
from ..errors import UnreadableFile
from .list_arguments import add_list_arguments, add_videos, choices_from
from .parser import command_parser
from .path_arguments import local_path
from .program import sibling

NOTES = (
    "Detectors: content, a fast change of the picture; adaptive, one that is large beside those around it; hash, a "
    "change of what is where, whatever the light; threshold, a fade through black. A picture that comes back within "
    "0.3 s was a flash, and no cut.",
    "OUTPUT.journal beside the output lists every video that was looked at. If a run was stopped or killed, run the "
    "same command again to resume.",
)
STATUSES = {0: "done", 1: "some videos have no scenes (each is named on standard error, and is a row with an error)"}
EXAMPLES = (
    "footage/ --output scenes.parquet",
    "film.mkv --detector content --threshold 30 --output scenes.csv",
)


def main(arguments: list[str] | None = None, program: str = "video-motion scenes") -> int:
    """Parse the command line, find scenes, write them; returns the exit status."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    settings = _settings(parser, options)
    if not (options.videos or options.manifest):
        parser.error("name a video, a folder, a pattern or a --manifest")
    if options.jobs < 1:
        parser.error(f"--jobs is {options.jobs}, it must be at least 1")
    try:
        choices = choices_from(options)
        if choices and not (options.manifest or STANDARD_INPUT in options.videos):
            parser.error("--columns and --path-template are for the columns of a --manifest")
        if not (options.manifest or options.output.exists()):
            refuse_missing(options.videos)
        inputs = Inputs(options.videos, options.manifest, any_name=options.any, output=options.output, choices=choices)
        for sentence in inputs.read_as:
            print(sentence, file=sys.stderr)
        return run_scenes(
            inputs,
            options.output,
            settings,
            jobs=options.jobs,
            threads=max(1, (os.cpu_count() or 1) // options.jobs),
            retry_failed=options.retry_failed,
        )
    except (InputError, OutputError, OtherTerms) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except UnreadableFile as error:  # a store is away; what it refuses is an `InputError`
        print(f"{parser.prog}: {error}; run the same command again", file=sys.stderr)
        return 1
    except JournalError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{parser.prog}: {sentence_of(error, options.output)}", file=sys.stderr)
        return 1


def _parser(program: str) -> argparse.ArgumentParser:
    parser = command_parser(
        program,
        f"Find the scenes of videos. The output is a manifest: `{sibling(program, 'score')} --manifest OUTPUT` scores "
        "each scene.",
        notes=NOTES,
        statuses=STATUSES,
        examples=EXAMPLES,
    )
    add_videos(parser)
    parser.add_argument(
        "--manifest", action="append", default=[], metavar="FILE", help="list of videos, as for score (repeatable)"
    )
    add_list_arguments(parser)
    parser.add_argument(
        "--any", action="store_true", help="try every file of a folder, not only those that are videos by their names"
    )
    parser.add_argument(
        "--output", type=local_path, required=True, metavar="FILE", help="file to write: .parquet, .jsonl or .csv"
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="look again at those of the videos that have no scenes in --output"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(os.cpu_count() or 1, 8),
        metavar="N",
        help="videos at once (default: one for each core, at most 8)",
    )
    group = parser.add_argument_group("how scenes are found")
    group.add_argument(
        "--detector",
        action="append",
        choices=THRESHOLDS,
        help=f"repeat it to take the boundaries of several (default: {' and '.join(DEFAULT_DETECTORS)})",
    )
    defaults = ", ".join(f"{name} {value:g}" for name, value in THRESHOLDS.items())
    group.add_argument("--threshold", type=float, metavar="X", help=f"how large a change is (default: {defaults})")
    group.add_argument(
        "--min-scene-seconds",
        type=float,
        default=SHORTEST_SCENE_SECONDS,
        metavar="SECONDS",
        help="shortest scene; a cut sooner after a scene's beginning, or before the end of the video, is left out "
        "(default: %(default)g)",
    )
    group.add_argument(
        "--downscale",
        type=int,
        metavar="N",
        help="make frames smaller by this factor (default: so that the longer side has 256 pixels at most)",
    )
    group.add_argument(
        "--frame-skip", type=int, default=0, metavar="N", help="frames to leave out after each one (default: 0)"
    )
    return parser


def _settings(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Settings:
    detectors = tuple(dict.fromkeys(options.detector or DEFAULT_DETECTORS))
    if options.threshold is not None and len(detectors) > 1:
        parser.error("--threshold is for one detector: name it with --detector")
    if options.threshold is not None and not 0 < options.threshold < float("inf"):
        parser.error(f"--threshold is {options.threshold:g}, it must be above 0")
    if not 0 <= options.min_scene_seconds < float("inf"):
        parser.error(f"--min-scene-seconds is {options.min_scene_seconds:g}, it must be at least 0")
    if options.downscale is not None and options.downscale < 1:
        parser.error(f"--downscale is {options.downscale}, it must be at least 1")
    if options.frame_skip < 0:
        parser.error(f"--frame-skip is {options.frame_skip}, it must be at least 0")
    return Settings(detectors, options.threshold, options.min_scene_seconds, options.downscale, options.frame_skip)
