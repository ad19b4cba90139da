"""The command `watch`: watch a camera, a stream or a file, and print the labels of each clip as they come."""

import argparse
import sys
from pathlib import Path

from .._counted import counted
from .._runs.interruption import interruptible
from .._sdk.client import Client
from .._sdk.result import LABEL_THRESHOLD
from .._watch.annotated import SUFFIX
from .._watch.source import STANDARD_INPUT
from .._watch.watch import CLIP_SECONDS, STRIDE_SECONDS, Watch
from ..errors import ClientError, InvalidRequest
from .encryption import add_encryption_arguments, tls_from
from .output_files import check_output, is_mp4
from .parser import command_parser
from .server_url import HELP as URL_HELP
from .server_url import server_url
from .watch_output import JsonLines, LiveLine

NOTES = (
    "A clip is sent only if the one before it was answered: if the server is slower than the source, clips are skipped "
    "and counted, so the answers are never late. Files wait for the server instead, unless --realtime is given.",
    f"A camera label is reported if its probability is at least {LABEL_THRESHOLD:g}. If the server has an action "
    "classifier, its most probable actions come too.",
)
STATUSES = {0: "the source ended", 1: "it cannot be read, broke or stalled, or clips failed"}
EXAMPLES = ("rtsp://camera/stream --reconnect", "video.mp4 --output annotated.mp4")


def main(arguments: list[str] | None = None, program: str = "video-motion watch") -> int:
    """Parse the command line, watch, print; returns the exit status."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    for name, value in (("--timeout", options.timeout), ("--stall-seconds", options.stall_seconds)):
        if not value > 0:
            parser.error(f"{name} is {value:g}, it must be above 0")
    if not options.away >= 0:
        parser.error(f"--away is {options.away:g}, it must be at least 0")
    if options.source == STANDARD_INPUT and sys.stdin.isatty():
        parser.error("standard input is a terminal: pipe a stream of MPEG-TS or Matroska into the command")
    if options.output and Path(options.output).suffix == SUFFIX:
        check_output(parser, "--output", Path(options.output), "mp4 video", is_mp4)
    as_table = (options.format or ("table" if sys.stdout.isatty() else "json")) == "table"
    try:
        with Client(
            options.url or "localhost:8001",
            timeout_seconds=options.timeout,
            away_seconds=options.away,
            tls=tls_from(parser, options),
        ) as client:
            output = LiveLine() if as_table else JsonLines()
            return _watch(client, options, output, parser.prog)
    except InvalidRequest as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise  # the reader of standard output closed it, as `head` does
    except (ClientError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1


def _watch(client: Client, options: argparse.Namespace, output: LiveLine | JsonLines, program: str) -> int:
    failure: ClientError | None = None
    with Watch(
        client,
        options.source,
        clip_seconds=options.clip_seconds,
        stride_seconds=options.stride_seconds,
        realtime=options.realtime,
        stall_seconds=options.stall_seconds,
        reconnect=options.reconnect,
        output=options.output,
        notify=output.say,
    ) as watch:
        told = False
        with interruptible(watch.stop, "ending the watch") as interruption:
            try:
                for clip in watch:
                    if (notice := clip.weights.notice) and not told:
                        output.say(f"NOTE: {notice}")
                        told = True
                    output.show(watch.source, clip)
            except ClientError as error:
                failure = error
            finally:
                output.end()
    if failure:
        output.say(f"{program}: {failure}")
    counts = watch.counts
    output.say(
        f"{counted(counts.clips, 'clip')} answered, {counts.clips_skipped} skipped, {counts.clips_failed} failed; "
        f"{counted(counts.frames, 'frame')}, {counts.frames_dropped} dropped, {counts.frames_damaged} damaged"
    )
    if watch.unlabelled:
        have, them = ("has", "it") if watch.unlabelled == 1 else ("have", "them")
        frames = f"{counted(watch.unlabelled, 'frame')} of {options.output}"
        output.say(f"{frames} {have} no labels: the answers came too late for {them}")
    return interruption.status or (1 if failure or counts.clips_failed else 0)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = command_parser(
        program,
        "Watch a camera, a stream or a file: the camera labels of each clip, as soon as they are known.",
        notes=NOTES,
        statuses=STATUSES,
        examples=EXAMPLES,
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="file, camera such as /dev/video0, address such as rtsp://HOST/PATH, or - for a pipe of MPEG-TS or "
        "Matroska on standard input",
    )
    parser.add_argument(
        "--url",
        action="append",
        type=server_url,
        metavar="HOST:PORT",
        help=URL_HELP,
    )
    low, high = CLIP_SECONDS
    parser.add_argument(
        "--clip-seconds",
        type=float,
        default=2.0,
        metavar="N",
        help=f"length of a clip in seconds, {low:g} to {high:g} (default: %(default)g)",
    )
    low, high = STRIDE_SECONDS
    parser.add_argument(
        "--stride-seconds",
        type=float,
        metavar="N",
        help=f"seconds from the start of one clip to the next, {low:g} to {high:g} (default: --clip-seconds)",
    )
    parser.add_argument(
        "--realtime",
        action=argparse.BooleanOptionalAction,
        help="play a file in real time and skip clips as with a camera; --no-realtime: let a pipe wait for the server "
        "(default: files wait, all else does not)",
    )
    parser.add_argument(
        "--stall-seconds",
        type=float,
        default=10.0,
        metavar="N",
        help="a source that is no file has stalled if no frame comes for so long (default: %(default)g)",
    )
    parser.add_argument(
        "--reconnect",
        action="store_true",
        help="open a camera or a network stream again if it ends, breaks or stalls",
    )
    parser.add_argument(
        "--output", metavar="FILE", help=f"video to write, with the labels drawn into the frames: {SUFFIX}, no sound"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="longest wait for an answer (default: %(default)g)",
    )
    parser.add_argument(
        "--away",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="how long to wait for servers that stopped answering before the watch ends (default: %(default)g)",
    )
    parser.add_argument(
        "--format", choices=("table", "json"), help="default: a live line on a terminal, else JSON lines"
    )
    add_encryption_arguments(parser)
    return parser
