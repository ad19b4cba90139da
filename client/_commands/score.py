"""`python -m client.score VIDEO...`: score videos and print what was learned, or fill a table with it."""

import argparse
import math
import os
import sys
from pathlib import Path

from .._inputs.errors import InputError
from .._inputs.inputs import Inputs
from .._runs.table_run import fill_table
from .._sdk.client import Client
from .._sdk.parameters import RANGES, WHOLE
from .._sdk.tls import Tls
from .._tables.journal import JournalError, OtherTerms
from .._tables.output import OutputError
from ..errors import ClientError
from .show import show_scores

EPILOG = """\
A camera label is reported from probability 0.5 on. An output has a journal beside it (OUTPUT.journal), with which a run
that was stopped or killed goes on, and later ones add videos. Exit status: 0 all videos were scored, 1 some were not
(each is named on standard error), 2 the command line is wrong."""
HELP = {
    "fps": "frames per second that the motion scores look at (server's default: 4)",
    "max_frames": "the most frames that they look at (240)",
    "clip_seconds": "length of a camera clip (2)",
    "clip_stride_seconds": "from one camera clip's start to the next one's (clip_seconds)",
    "max_clips": "the most camera clips, evenly spread where there are more (32)",
}


def main(arguments: list[str] | None = None, program: str = "video-motion score") -> int:
    """Parse the command line, score, print or write, and return the exit status."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # pyarrow's own keeps a tenth more than it needs
    parser = _parser(program)
    options = parser.parse_args(arguments)
    try:
        parameters = _parameters(parser, options)
        inputs = _inputs(parser, options)
        with Client(
            options.url or "localhost:8001",
            timeout_seconds=options.timeout,
            away_seconds=options.away,
            retries=10,
            max_in_flight=options.in_flight,
            tls=_tls(parser, options),
        ) as client:
            if options.output:
                return fill_table(
                    client,
                    inputs,
                    options.output,
                    parameters,
                    in_flight=options.in_flight,
                    retry_failed=options.retry_failed,
                )
            assert inputs is not None
            as_table = (options.format or ("table" if sys.stdout.isatty() else "json")) == "table"
            return show_scores(client, inputs, parameters, in_flight=options.in_flight, as_table=as_table)
    except (InputError, OutputError, OtherTerms) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does: no more to say, and nothing to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ClientError, JournalError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Score how videos move: motion scores of each video, camera moves of each of its clips.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "videos",
        nargs="*",
        metavar="VIDEO",
        help="file, folder (and all below it), pattern, or - for names on standard input",
    )
    parser.add_argument(
        "--manifest",
        action="append",
        default=[],
        metavar="FILE",
        help="file that names a video a line, or CSV or Parquet with a column path or video (and start_seconds, "
        "end_seconds for parts); - for standard input",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="table to fill: .parquet, .jsonl or .csv")
    parser.add_argument(
        "--retry-failed", action="store_true", help="score again what failed, of VIDEO... or of the whole output"
    )
    parser.add_argument(
        "--url", action="append", help="gRPC address of the server; several share the load (default: localhost:8001)"
    )
    parser.add_argument(
        "--in-flight", type=int, default=4, metavar="N", help="videos under way at once (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="SECONDS", help="for each answer (default: %(default)g)"
    )
    parser.add_argument(
        "--away",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="how long servers may be away before the run stops (default: %(default)g)",
    )
    parser.add_argument(
        "--format", choices=("table", "json"), help="without --output (default: table on a terminal, else JSON lines)"
    )
    encryption = parser.add_argument_group("encryption")
    encryption.add_argument("--tls", action="store_true", help="connect encrypted; implied by the others")
    encryption.add_argument(
        "--tls-ca", metavar="PEM", help="whom to trust that a server is who it says (gRPC's own list)"
    )
    encryption.add_argument("--tls-certificate", metavar="PEM", help="the client's own, for servers that ask for one")
    encryption.add_argument("--tls-key", metavar="PEM", help="its private key")
    parts = parser.add_argument_group("what to look at")
    parts.add_argument("--start", type=float, metavar="SECONDS", help="only frames from this timestamp on")
    parts.add_argument("--end", type=float, metavar="SECONDS", help="only frames before this timestamp")
    parts.add_argument("--duration", type=float, metavar="SECONDS", help="only so much, from --start on")
    for name, text in HELP.items():
        number = int if name in WHOLE else float
        parts.add_argument(f"--{name.replace('_', '-')}", type=number, metavar="N", help=text)
    return parser


def _inputs(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Inputs | None:
    """What to score; None for all that failed."""
    if options.retry_failed and not options.output:
        parser.error("--retry-failed takes what failed from an --output")
    if options.output and options.format:
        parser.error("--format is how scores are printed, the name of --output says how they are written")
    for name, value in (("--timeout", options.timeout), ("--in-flight", options.in_flight)):
        if not value > 0:
            parser.error(f"{name} is {value:g}, it must be above 0")
    if not options.away >= 0:
        parser.error(f"--away is {options.away:g}, it must be at least 0")
    if options.videos or options.manifest:
        return Inputs(options.videos, options.manifest)
    if not options.retry_failed:
        parser.error("name a video, a folder, a pattern or a --manifest")
    return None


def _tls(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Tls | None:
    if not (options.tls or options.tls_ca or options.tls_certificate or options.tls_key):
        return None
    try:
        return Tls(options.tls_ca, options.tls_certificate, options.tls_key)
    except ValueError:
        parser.error("--tls-certificate and --tls-key are given together")


def _parameters(parser: argparse.ArgumentParser, options: argparse.Namespace) -> dict[str, float]:
    """Those that were given, within what the server takes."""
    start, end = options.start, options.end
    if options.duration is not None:
        if end is not None:
            parser.error("--end and --duration say the same thing, give one of them")
        if not (math.isfinite(options.duration) and options.duration > 0):
            parser.error(f"--duration is {options.duration:g}, it must be above 0")
        end = (start or 0.0) + options.duration
    values = {name: getattr(options, name) for name in HELP} | {"start_seconds": start, "end_seconds": end}
    parameters = {name: value for name, value in values.items() if value is not None}
    flags = {"start_seconds": "--start", "end_seconds": "--end"}
    for name, value in parameters.items():
        low, high = RANGES[name]
        if not (math.isfinite(value) and low <= value <= high):
            allowed = f"from {low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}"
            parser.error(f"{flags.get(name, '--' + name.replace('_', '-'))} is {value:g}, it must be {allowed}")
    if end is not None and end <= (start or 0.0):
        parser.error(f"--end is {end:g}, it must be after --start, {start or 0:g}")
    return parameters
