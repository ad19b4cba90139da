"""The command `score`: score videos, then print the scores or write them into a table."""

import argparse
import math
import os
import sys

from .._first_pass.errors import FirstPassError
from .._inputs.choices import Choices
from .._inputs.errors import InputError
from .._inputs.inputs import STANDARD_INPUT, Inputs, refuse_missing
from .._inputs.members import may_name_shards
from .._inputs.remote import PASSING
from .._os_errors import sentence_of
from .._runs.destination import Destination, destination_of
from .._runs.part_times import ORIGIN
from .._runs.signal_options import SignalOptions
from .._runs.table_run import run_table
from .._sdk.client import Client
from .._sdk.parameters import RANGES, WHOLE
from .._sdk.result import LABEL_THRESHOLD
from .._sdk.signals import SIGNALS, asked_for
from .._tables.journal import JournalError, OtherTerms
from .._tables.output import OutputError
from .._tables.row import is_own_column
from ..errors import ClientError, InvalidRequest, UnreadableFile
from .encryption import add_encryption_arguments, tls_from
from .engines import RAY, add_engine_arguments, check_engine, engine_of
from .first_pass_argument import add_first_pass, first_pass_of, with_value
from .list_arguments import add_list_arguments, add_videos, choices_from
from .parser import command_parser
from .path_arguments import local_path, path_or_url
from .server_url import HELP as URL_HELP
from .server_url import server_url
from .show import show_scores

NOTES = (
    f"A camera label is reported if its probability is at least {LABEL_THRESHOLD:g}.",
    "With --output, OUTPUT.journal beside the table lists every scored video. If a run was stopped or killed, run the "
    "same command again to resume; later runs with the same parameters add their videos to the table.",
)
STATUSES = {0: "all videos were scored", 1: "some failed (each is named on standard error)"}
EXAMPLES = ("video.mp4", "videos/ --output scores.parquet --in-flight 8")
HELP = {
    "fps": "frames per second for the motion scores (server's default: 4)",
    "max_frames": "maximum number of frames for the motion scores (server's default: 240)",
    "clip_seconds": "length of a camera clip in seconds (server's default: 2)",
    "clip_stride_seconds": "seconds from the start of one camera clip to the next (default: --clip-seconds)",
    "max_clips": "most camera clips, evenly spread if the video has more (server's default: 32)",
    "frames": "number of evenly spaced frames for the signal frames (server's default: 16)",
}


def main(arguments: list[str] | None = None, program: str = "video-motion score") -> int:
    """Parse the command line, score, print or write; returns the exit status."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # pyarrow's default pool keeps a tenth more memory
    parser = _parser(program)
    options = parser.parse_args(with_value(sys.argv[1:] if arguments is None else arguments))
    try:
        parameters = _parameters(parser, options)
        destination = _destination(parser, options)
        signals = _signals(parser, options, parameters)
        choices = _choices(parser, options, destination)
        inputs = _inputs(parser, options, choices)
        check_engine(parser, options)
        _check_dedupe(parser, options)
        with (
            first_pass_of(parser, options) as first_pass,
            Client(
                options.url or "localhost:8001",
                timeout_seconds=options.timeout,
                away_seconds=options.away,
                retries=10,
                max_in_flight=options.in_flight,
                tls=tls_from(parser, options),
            ) as client,
        ):
            if destination:
                return run_table(
                    client,
                    inputs,
                    destination,
                    parameters,
                    in_flight=options.in_flight,
                    retry_failed=options.retry_failed,
                    signals=signals,
                    kept=choices.keep,
                    phrases=options.phrases,
                    engine=engine_of(options, client, tls_from(parser, options)),
                    dedupe=options.dedupe,
                    first_pass=first_pass,
                )
            assert inputs is not None
            as_table = (options.format or ("table" if sys.stdout.isatty() else "json")) == "table"
            return show_scores(
                client,
                inputs,
                parameters,
                in_flight=options.in_flight,
                as_table=as_table,
                signals=signals,
                kept=choices.keep,
                phrases=options.phrases,
                first_pass=first_pass,
            )
    except (InputError, OutputError, OtherTerms, FirstPassError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise  # the reader of standard output closed it, as `head` does
    except OSError as error:
        print(f"{parser.prog}: {sentence_of(error, options.output or 'standard output')}", file=sys.stderr)
        return 1
    except (ClientError, JournalError, ImportError) as error:
        again = "; run the same command again" if isinstance(error, UnreadableFile) and error.reason in PASSING else ""
        print(f"{parser.prog}: {error}{again}", file=sys.stderr)
        return 1


def _parser(program: str) -> argparse.ArgumentParser:
    parser = command_parser(
        program,
        "Score how videos move: three motion scores for each video, camera moves for each of its clips.",
        notes=NOTES,
        statuses=STATUSES,
        examples=EXAMPLES,
    )
    add_videos(parser, shards=True)
    parser.add_argument(
        "--manifest",
        action="append",
        default=[],
        metavar="FILE",
        help="file with one video per line, CSV, TSV, JSON lines, a JSON array or Parquet with path or video "
        "(start_seconds and end_seconds select a part), or a list of Kinetics, HD-VG or HD-VILA; - for standard input",
    )
    parser.add_argument(
        "--hugging-face",
        action="append",
        default=[],
        metavar="FILES",
        help="Parquet files that hold the videos, as Hugging Face writes data sets: a file, a folder or a pattern",
    )
    add_list_arguments(parser)
    parser.add_argument(
        "--keep",
        metavar="NAMES",
        help="columns of the manifest, or values of the .json (and caption, the .txt) beside a video in a shard, that "
        "go into the table, with commas between them",
    )
    parser.add_argument(
        "--any", action="store_true", help="try every file of a folder, not only those that are videos by their names"
    )
    parser.add_argument(
        "--output", type=path_or_url, metavar="FILE", help="table to write: .parquet, .jsonl or .csv; a path or a URL"
    )
    parser.add_argument(
        "--journal",
        type=local_path,
        metavar="FILE",
        help="journal of --output, on this machine (default: OUTPUT.journal; for a URL, in a folder below "
        "~/.local/state/video-motion)",
    )
    parser.add_argument(
        "--dedupe",
        action="store_true",
        help="score videos with the same bytes once; the column duplicate_of of the others says whose scores they have",
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="score again the videos that failed: those among VIDEO..., or all in --output if none is named",
    )
    parser.add_argument(
        "--url",
        action="append",
        type=server_url,
        metavar="HOST:PORT",
        help=URL_HELP,
    )
    parser.add_argument(
        "--in-flight", type=int, default=4, metavar="N", help="videos in flight at once (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="longest wait for an answer (default: %(default)g)",
    )
    parser.add_argument(
        "--away",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="how long to wait for servers that stopped answering before the run stops (default: %(default)g)",
    )
    parser.add_argument(
        "--format", choices=("table", "json"), help="without --output (default: table on a terminal, else JSON lines)"
    )
    add_encryption_arguments(parser)
    add_engine_arguments(parser)
    add_first_pass(parser)
    parser.add_argument(
        "--allow-damaged",
        action="store_true",
        help="score what decodes of a truncated or damaged video, if that is at least half of it",
    )
    signals = parser.add_argument_group("what to compute")
    signals.add_argument(
        "--signals",
        metavar="NAMES",
        help=f"names with commas between them, of {', '.join(SIGNALS)} (default: motion,camera)",
    )
    signals.add_argument(
        "--heads",
        metavar="NAMES",
        help="heads of your own, with commas between them (default: all that are served over the embeddings among "
        "--signals); '' for none",
    )
    signals.add_argument(
        "--embeddings-dtype",
        choices=("float32", "float16"),
        help="type of embeddings in the output (default: float32); float16 halves it",
    )
    signals.add_argument(_flag("frames"), type=int, metavar="N", help=HELP["frames"])
    signals.add_argument(
        "--phrases", action="store_true", help="say in words how each video moves: a sentence, and a short form"
    )
    parts = parser.add_argument_group("part of the video to score")
    parts.add_argument(
        "--start", type=float, metavar="SECONDS", help="ignore earlier frames; counts from the video's first frame"
    )
    parts.add_argument(
        "--end", type=float, metavar="SECONDS", help="ignore frames at or after this time; counts from the first frame"
    )
    parts.add_argument("--duration", type=float, metavar="SECONDS", help="length of the part, instead of --end")
    parts.add_argument(
        "--timestamps",
        action="store_true",
        help="--start, --end and a manifest's times are timestamps, and do not count from the first frame",
    )
    for name, text in HELP.items():
        if name == "frames":
            continue
        number = int if name in WHOLE else float
        parts.add_argument(_flag(name), type=number, metavar="N", help=text)
    return parser


def _destination(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Destination | None:
    if options.output:
        return destination_of(options.output, options.journal)
    if options.journal:
        parser.error("--journal is for --output")
    return None


def _choices(parser: argparse.ArgumentParser, options: argparse.Namespace, destination: Destination | None) -> Choices:
    """Which columns of manifests mean what. Raises `InputError`."""
    choices = choices_from(options, options.keep)
    has_list = options.manifest or options.hugging_face or STANDARD_INPUT in options.videos
    has_shards = any(map(may_name_shards, options.videos)) and not choices.template
    # A table that keeps columns also takes videos that no list names.
    goes_on = destination is not None and destination.is_begun
    if not (has_list or has_shards) and (choices.columns or choices.template or (choices.keep and not goes_on)):
        parser.error(
            "--columns, --path-template and --keep are for the columns of a --manifest; --keep also for shards (.tar)"
        )
    for name in filter(is_own_column, choices.keep):
        parser.error(
            f"--keep {name}: tables have a column of this name; give yours another one, "
            f"--columns my_{name}={name} --keep my_{name}"
        )
    return choices


def _inputs(parser: argparse.ArgumentParser, options: argparse.Namespace, choices: Choices) -> Inputs | None:
    """What to score; None for every failure in the table."""
    if options.retry_failed and not options.output:
        parser.error("--retry-failed needs an --output to take the failures from")
    if options.output and options.format:
        parser.error("--format is for printed scores; the suffix of --output chooses the format of the table")
    for name, value in (("--timeout", options.timeout), ("--in-flight", options.in_flight)):
        if not value > 0:
            parser.error(f"{name} is {value:g}, it must be above 0")
    if not options.away >= 0:
        parser.error(f"--away is {options.away:g}, it must be at least 0")
    if options.videos or options.manifest or options.hugging_face:
        goes_on = options.output and destination_of(options.output, options.journal).is_begun  # it may have them
        if not (options.manifest or options.hugging_face or goes_on):
            refuse_missing(options.videos)
        inputs = Inputs(
            options.videos,
            options.manifest,
            any_name=options.any,
            output=options.output,
            journal=options.journal,
            choices=choices,
            data_sets=options.hugging_face,
        )
        for sentence in inputs.read_as:
            print(sentence, file=sys.stderr)
        return inputs
    if not options.retry_failed:
        parser.error("name a video, a folder, a pattern or a --manifest")
    return None


def _check_dedupe(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.dedupe and not options.output:
        parser.error("--dedupe needs an --output, whose journal knows what was scored")
    if options.dedupe and options.engine == RAY:
        parser.error("--dedupe is not for --engine ray, whose nodes do not know what the others scored")


def _signals(
    parser: argparse.ArgumentParser, options: argparse.Namespace, parameters: dict[str, float]
) -> SignalOptions | None:
    """What to compute; None for motion and camera."""
    if options.heads is not None and not options.signals and not options.heads.strip():
        parser.error("--heads names no head, and there are no --signals")
    try:
        asked = asked_for(options.signals, options.heads, parameters)
    except InvalidRequest as error:
        parser.error(str(error))
    signals = None if asked is None else SignalOptions(asked, options.embeddings_dtype or "float32")
    if options.phrases and asked is not None and not {"motion", "camera"} & {*asked.signals}:
        parser.error("--phrases says what motion and camera do: name one of them among the --signals")
    if options.embeddings_dtype and not (signals and signals.has_embeddings):
        parser.error("--embeddings-dtype is for embeddings: name segments or frames among the --signals")
    return signals


def _parameters(parser: argparse.ArgumentParser, options: argparse.Namespace) -> dict[str, float]:
    """The request parameters on the command line, checked against what the server accepts."""
    start, end = options.start, options.end
    if options.duration is not None:
        if end is not None:
            parser.error("give --end or --duration, not both")
        if not (math.isfinite(options.duration) and options.duration > 0):
            parser.error(f"--duration is {options.duration:g}, it must be above 0")
        if options.timestamps and start is None:
            parser.error("--duration with --timestamps needs --start: the timestamp at which the part starts")
        end = (start or 0.0) + options.duration
    values = {name: getattr(options, name) for name in HELP} | {"start_seconds": start, "end_seconds": end}
    parameters = {name: value for name, value in values.items() if value is not None}
    flags = {"start_seconds": "--start", "end_seconds": "--end"}
    for name, value in parameters.items():
        low, high = RANGES[name]
        if not (math.isfinite(value) and low <= value <= high):
            allowed = f"from {low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}"
            parser.error(f"{flags.get(name, _flag(name))} is {value:g}, it must be {allowed}")
    if end is not None and end <= (start or 0.0):
        parser.error(f"--end is {end:g}, it must be after --start, {start or 0:g}")
    if options.allow_damaged:
        parameters["allow_damaged"] = 1
    return parameters if options.timestamps else parameters | {ORIGIN: 1}


def _flag(parameter: str) -> str:
    return "--" + parameter.replace("_", "-")
