"""The tables of a sweep, in Markdown."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from bench.gpu.sweep.activity import bytes_to_host, idle_nvdecs
from bench.gpu.sweep.bounds import Finished, clip_megabytes, share_of_bound
from bench.gpu.sweep.grid import LIBRARIES, NETWORKS, Decoding, Grid, Load, Network, Point, Stripping, Video
from bench.gpu.sweep.journal import Raw
from bench.gpu.sweep.recommend import Recommendation
from bench.gpu.sweep.run import Outcome
from bench.gpu.sweep.statistics import empty_share
from bench.markdown import number, table

BUSY_CALLER = 0.9
"""Cores of a caller, which computes on one, from which on it may be what holds the rate back."""
LOAD_HEADER = (
    "video",
    "instances",
    "batch",
    "delay, us",
    "in flight",
    "videos/s",
    "frames/s",
    "p50, s",
    "p99, s",
    "of the bound",
    "empty places",
    "MB to the host a video (its clips)",
    "idle NVDECs",
)
LEGEND = """\
Everything is measured, on this GPU. In flight: requests at once. Of the bound: relative to what NVDEC alone (the
best of its tables) or the networks alone reach, whichever is less. Empty places: share of the batches' places without a
clip. MB to the host: traffic over PCIe, sampled; where it comes near the size of the clips, they are copied there. Idle
NVDECs: from the decoders' utilisation, sampled. A rate with an asterisk may be held back by the sender of videos."""


def full(title: str, grid: Grid, outcome: Outcome, nvdecs: int, recommendation: Recommendation | None) -> str:
    """Every table, with every load."""
    return _join(title, grid, outcome, nvdecs, recommendation, _loads(grid, outcome.finished))


def short(title: str, grid: Grid, outcome: Outcome, nvdecs: int, recommendation: Recommendation | None) -> str:
    """Every table, but of the loads only the fastest of each video."""
    best: dict[str, Load] = {}
    for load in _loads(grid, outcome.finished):
        there = best.get(load.video)
        if there is None or _rate(outcome.finished, load) > _rate(outcome.finished, there):
            best[load.video] = load
    return _join(title, grid, outcome, nvdecs, recommendation, list(best.values()))


def _join(
    title: str,
    grid: Grid,
    outcome: Outcome,
    nvdecs: int,
    recommendation: Recommendation | None,
    loads: Sequence[Load],
) -> str:
    videos = {video.name: video for video in grid.videos}
    parts = [
        f"# {title}",
        LEGEND,
        "## NVDEC alone",
        _decoding(grid, outcome),
        "## Wanted frames, from the whole and from the stripped file",
        _stripping(grid, outcome),
        "## Networks alone",
        _networks(grid, outcome),
        "## Server",
        table(LOAD_HEADER, [_load(outcome.finished, load, videos[load.video], nvdecs) for load in loads]),
        "## Recommendation",
        describe(recommendation),
    ]
    for heading, reasons in (("## Skipped", outcome.skipped), ("## Failed", outcome.failed)):
        if reasons:
            parts += [heading, _reasons(reasons.items())]
    return "\n\n".join(parts) + "\n"


def describe(recommendation: Recommendation | None) -> str:
    """The recommendation in a sentence, with its rates."""
    if recommendation is None:
        return "None: no setting has all its loads."
    rates = ", ".join(f"{name} {number(rate)}" for name, rate in recommendation.videos_per_second.items())
    return f"{recommendation.setting}; {recommendation.in_flight} requests in flight. Videos/s: {rates}."


def _decoding(grid: Grid, outcome: Outcome) -> str:
    rows = []
    for video in grid.videos:
        points = [Decoding(library, video.name) for library in LIBRARIES]
        rows.append([video.name, *(_figure(outcome.finished, point, "frames_per_second") for point in points)])
    return table(["frames/s", *LIBRARIES], rows)


def _stripping(grid: Grid, outcome: Outcome) -> str:
    header = ["video", "wanted", "packets", "stripped", "wanted frames/s", "stripped", "gain"]
    rows = []
    for video in grid.videos:
        raw = outcome.finished.get(Stripping(video.name))
        if raw is None:
            rows.append([video.name, *["-"] * (len(header) - 1)])
            continue
        names = ("wanted_frames", "whole_packets", "stripped_packets", "whole_wanted_fps", "stripped_wanted_fps")
        gain = raw["stripped_wanted_fps"] / raw["whole_wanted_fps"]
        rows.append([video.name, *(number(raw[name]) for name in names), f"{gain:.2f}"])
    return table(header, rows)


def _networks(grid: Grid, outcome: Outcome) -> str:
    rows = []
    for batch in grid.batches:
        points = [Network(network, batch) for network in NETWORKS]
        rows.append([str(batch), *(_figure(outcome.finished, point, "clips_per_second") for point in points)])
    return table(["clips/s at a batch of", *NETWORKS], rows)


def _loads(grid: Grid, finished: Finished) -> list[Load]:
    loads = [load for setting in grid.settings() for load in grid.loads(setting) if load in finished]
    order = {video.name: index for index, video in enumerate(grid.videos)}
    return sorted(loads, key=lambda load: order[load.video])


def _load(finished: Finished, load: Load, video: Video, nvdecs: int) -> list[str]:
    raw, setting = finished[load], load.setting
    share = share_of_bound(finished, load, video)
    empty = empty_share(raw["models"], NETWORKS, setting.batch)
    to_host = bytes_to_host(raw["activity"], raw["videos_per_second"])
    idle = idle_nvdecs(raw["activity"], nvdecs)
    busy = "*" if raw["caller_cores"] >= BUSY_CALLER else ""
    return [
        load.video,
        str(setting.instances),
        str(setting.batch),
        str(setting.delay_microseconds),
        str(load.in_flight),
        number(raw["videos_per_second"]) + busy + _on_cpu(raw["decoders"]),
        number(raw["videos_per_second"] * video.cost.frames),
        number(raw["p50_seconds"]),
        number(raw["p99_seconds"]),
        f"{share[0]:.0%} ({share[1]})" if share else "-",
        "-" if empty is None else f"{empty:.0%}",
        f"{'-' if to_host is None else number(to_host / 1e6)} ({number(clip_megabytes(video))})",
        "-" if idle is None else f"{idle:.1f} of {nvdecs}",
    ]


def _on_cpu(decoders: Mapping[str, int]) -> str:
    """What share of the videos the CPU decoded, if it did."""
    share = decoders.get("ffmpeg", 0) / sum(decoders.values())
    return f" ({share:.0%} decoded by the CPU)" if share else ""


def _rate(finished: Finished, load: Load) -> float:
    return float(finished[load]["videos_per_second"])


def _figure(finished: Finished, point: Point, name: str) -> str:
    raw: Raw | None = finished.get(point)
    return "-" if raw is None else number(raw[name])


def _reasons(reasons: Iterable[tuple[Point, str]]) -> str:
    """A line for each reason, with the points that share it."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for point, reason in reasons:
        by_reason[reason].append(str(point))
    return "\n".join(f"- {reason}: {_few(points)}" for reason, points in by_reason.items())


def _few(points: list[str]) -> str:
    return "; ".join(points) if len(points) <= 3 else f"{points[0]}, and {len(points) - 1} more"
