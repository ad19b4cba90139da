"""The command line of `python -m bench.gpu sweep`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bench.gpu.steps import Skipped
from bench.gpu.sweep import configurations, picture, report
from bench.gpu.sweep.device import Device, find_device, use_alone
from bench.gpu.sweep.grid import NETWORKS, Grid
from bench.gpu.sweep.journal import Journal, JournalError
from bench.gpu.sweep.measures import Measures
from bench.gpu.sweep.recommend import Recommendation, recommend
from bench.gpu.sweep.run import run
from bench.gpu.sweep.videos import NAMES, sweep_videos

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".bench" / "gpu"
DEFAULT_BATCHES = [16, 32]
DEFAULT_DELAYS = [0, 2000, 8000]
DEFAULT_IN_FLIGHT = [8, 16, 32]
EPILOG = """\
It measures NVDEC alone, the networks alone, what stripping saves, and then the server with every combination of
instances, batches and delays. It writes DIRECTORY/sweep/sweep.md, sweep.png and points.jsonl, and the configuration
that it recommends: configs/GPU.pbtxt of the models concerned, to be served with --model-config-name=GPU.

A sweep that was stopped goes on where it was if it is started again with the same options. The networks have random
weights, which compute as fast as others.

Exit status: 0 if every point was measured or skipped with a reason; 1 if one failed, the machine has no GPU, or the
points of an earlier sweep do not fit; 130 after Ctrl-C."""

Prepare = Callable[[Path], tuple[Path, str | None]]
"""Exports networks below a directory: their model repository, and why it has no TensorRT plans (None if it has)."""


def main(
    arguments: list[str],
    prepare: Prepare,
    *,
    find: Callable[[int | None], Device] = find_device,
    measures: Measures | None = None,
) -> int:
    """Run a sweep, and return the exit status; tests replace `find` and `measures`."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not (options.model_repository / "video_motion" / "config.pbtxt").is_file():
        parser.error(f"--model-repository: {options.model_repository} has no model video_motion")
    limit = configurations.largest_batch(options.model_repository, options.profile, NETWORKS)
    if max(options.batches) > limit:
        parser.error(f"--batches: the networks take batches up to {limit}, not {max(options.batches)}")
    try:
        device = find(options.nvdecs)
    except Skipped as reason:
        print(f"sweep: {reason}", file=sys.stderr)
        return 1
    directory = options.directory / "sweep"
    directory.mkdir(parents=True, exist_ok=True)
    grid = Grid(
        sweep_videos(directory, options.videos),
        _distinct(options.instances or [device.nvdecs, 2 * device.nvdecs]),
        _distinct(options.batches),
        _distinct(options.delays),
        _distinct(options.in_flight),
    )
    if measures is None:
        from bench.gpu.sweep.on_gpu import OnGpu  # it imports PyTorch, which takes seconds

        use_alone(device)
        measures = OnGpu(options.profile, device, options.seconds, lambda: prepare(options.directory))
    where = {"gpu": device.name, "driver": device.driver, "nvdecs": device.nvdecs}
    where |= {"profile": options.profile, "seconds": options.seconds}
    title = f"{device.name}, driver {device.driver}, {device.nvdecs} NVDECs, {options.profile} profile"
    print(f"sweep: {title}\nsweep: {_extent(grid, options.seconds)}", flush=True)
    try:
        with Journal(directory / "points.jsonl", where) as journal:
            outcome = run(grid, measures, journal, lambda line: print(f"sweep: {line}", flush=True))
    except JournalError as error:
        print(f"sweep: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sweep: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    recommendation = recommend(grid, outcome.finished)
    everything = (title, grid, outcome, device.nvdecs, recommendation)
    (directory / "sweep.md").write_text(report.full(*everything))
    picture.draw(title, grid, outcome.finished, recommendation, directory / "sweep.png")
    print(f"\n{report.short(*everything)}")
    print(f"sweep: every load is in {directory / 'sweep.md'}, a picture in {directory / 'sweep.png'}")
    if recommendation is not None:
        _write_configuration(options.model_repository, options.profile, device, recommendation)
    return 1 if outcome.failed else 0


def _write_configuration(repository: Path, profile: str, device: Device, recommendation: Recommendation) -> None:
    name = device.config_name if profile == "gpu" else f"{device.config_name}-{profile}"
    comment = (
        f"For {device.name} (driver {device.driver}), measured by `python -m bench.gpu sweep`:\n"
        f"{report.describe(recommendation)}\nServed with --model-config-name={name}."
    )
    for path in configurations.write(repository, profile, name, recommendation.setting, comment):
        print(f"sweep: wrote {path}")
    print(f'sweep: serve it with  TRITON_FLAGS="--model-config-name={name}" python -m server')


def _extent(grid: Grid, seconds: float) -> str:
    settings = list(grid.settings())
    loads = sum(len(grid.loads(setting)) for setting in settings)
    alone = len(list(grid.alone()))
    minutes = (loads + alone) * seconds / 60
    return (
        f"{alone} points alone and {loads} with {len(settings)} starts of the server, of {seconds:g} s each or more: "
        f"at least {minutes:.0f} minutes"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu sweep",
        description="Measure how many videos a second this GPU scores with which configuration, and recommend one.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--instances",
        type=_count,
        nargs="+",
        metavar="N",
        help="of the model that decodes on NVDEC (default: one and two per NVDEC)",
    )
    parser.add_argument(
        "--batches",
        type=_count,
        nargs="+",
        metavar="N",
        default=DEFAULT_BATCHES,
        help=f"preferred batches of the networks, in clips (default: {_words(DEFAULT_BATCHES)})",
    )
    parser.add_argument(
        "--delays",
        type=_microseconds,
        nargs="+",
        metavar="N",
        default=DEFAULT_DELAYS,
        help=f"queue delays of the networks, in microseconds (default: {_words(DEFAULT_DELAYS)})",
    )
    parser.add_argument(
        "--in-flight",
        type=_count,
        nargs="+",
        metavar="N",
        default=DEFAULT_IN_FLIGHT,
        help=f"requests in flight (default: {_words(DEFAULT_IN_FLIGHT)})",
    )
    parser.add_argument(
        "--videos",
        nargs="+",
        metavar="NAME",
        choices=NAMES,
        default=list(NAMES),
        help=f"any of {', '.join(NAMES)} (default: all)",
    )
    parser.add_argument(
        "--profile", choices=("gpu", "tensorrt"), default="gpu", help="what to serve (default: %(default)s)"
    )
    parser.add_argument("--nvdecs", type=_count, metavar="N", help="the GPU's NVDECs, if nothing else says how many")
    parser.add_argument(
        "--seconds", type=_seconds, default=10.0, help="least duration of each measurement (default: %(default)s)"
    )
    parser.add_argument(
        "--directory", type=Path, default=CACHE, help="for networks, videos and results (default: %(default)s)"
    )
    parser.add_argument(
        "--model-repository",
        type=Path,
        metavar="DIR",
        default=ROOT / "model_repository",
        help="where to write the recommended configuration (default: model_repository in the project)",
    )
    return parser


def _distinct(values: list[int]) -> tuple[int, ...]:
    return tuple(sorted(set(values)))


def _words(values: list[int]) -> str:
    return " ".join(map(str, values))


def _count(text: str) -> int:
    return _at_least(text, 1)


def _microseconds(text: str) -> int:
    return _at_least(text, 0)


def _at_least(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
    return int(text)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value
