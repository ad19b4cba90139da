"""The tables and the plot of a benchmark run."""

import statistics
from pathlib import Path

import matplotlib

from bench.results import LoadResult, Report

matplotlib.use("Agg")  # works without a display
from matplotlib import pyplot

LEGEND = """\
(a) plain PyTorch float32, (b) this server, one request in flight, (c) the networks alone, (d) decoding alone.
Seconds: medians, +- half the range of the rounds. a/b: speed of the server relative to (a). sample, decode: time in the
server. rest: (b) less sample, decode and (c). MiB: peak memory, (a) with its networks, (b) above the idle server."""


def print_report(report: Report) -> None:
    """Print all tables."""
    print(f"\n{report.machine}\n\n{LEGEND}\n")
    for precision, seconds in report.ready_seconds.items():
        print(f"{precision:>5}: ready after {seconds:.1f} s, {report.idle_mib[precision]:.0f} MiB idle")
    print(f"client: {report.client_mib:.0f} MiB with bikes in a request\n")
    print(
        f"{'video':>17} {'segments':>8} {'clips':>5} {'(a)':>14} {'MiB':>6} {'prec.':>5} {'(b)':>14} {'MiB':>5} "
        f"{'cpu':>6} {'a/b':>5} {'(c)':>7} {'(d)':>6} {'sample':>6} {'decode':>6} {'rest':>11}"
    )
    for video in report.videos:
        for precision, server in video.servers.items():
            seconds, bare = _median(server.seconds), _median(server.bare_network_seconds)
            decode, sampling = _median(server.decode_seconds), _median(server.sampling_seconds)
            rest = seconds - bare - decode - sampling
            published = "failed" if video.published_failures else _spread(video.published_seconds)
            print(
                f"{video.name:>17} {video.segments:8d} {video.clips:5d} {published:>14} "
                f"{video.published_peak_mib:6.0f} {precision:>5} {_spread(server.seconds):>14} "
                f"{server.above_idle_mib:5.0f} {_median(server.cpu_seconds):6.1f} "
                f"{_median(video.published_seconds) / seconds:5.2f} {bare:7.2f} "
                f"{_median(video.bare_decode_seconds):6.2f} {sampling:6.2f} {decode:6.2f} "
                f"{rest:5.2f} {100 * rest / seconds:4.0f}%"
            )
    if report.rates:
        print(f"\n{'GFLOP/s':>8} {'matrices':>9} {'backbone':>15} {'classifier':>15}   backbone, ms per segment")
    for precision, rates in report.rates.items():
        shares = [f"{rate:7.0f} ({100 * rate / rates.matrix:3.0f} %)" for rate in (rates.backbone, rates.classifier)]
        layers = ", ".join(f"{kind} {milliseconds:.0f}" for kind, milliseconds in rates.backbone_milliseconds.items())
        print(f"{precision:>8} {rates.matrix:9.0f} {shares[0]:>15} {shares[1]:>15}   {layers}")
    if report.loads:
        print(f"\n{report.load_precision}, the three real videos, repeated; of bare: (c) plus (d), over the time taken")
        print(f"{'in flight':>9} {'videos/s':>9} {'clips/s':>8} {'p50':>7} {'p95':>7} {'p99':>7} {'of bare':>8}")
    for load in report.loads:
        print(
            f"{load.in_flight:9d} {load.videos_per_second:9.3f} {load.clips_per_second:8.3f} {load.p50_seconds:7.2f} "
            f"{load.p95_seconds:7.2f} {load.p99_seconds:7.2f} {100 * load.share_of_bare:6.0f} %"
        )


def plot_loads(loads: list[LoadResult], path: Path) -> None:
    """Plot throughput and latency against requests in flight into the file `path`."""
    figure, (throughput, latency) = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    in_flight = [load.in_flight for load in loads]
    throughput.plot(in_flight, [load.videos_per_second for load in loads], "o-")
    throughput.set(xlabel="requests in flight", ylabel="videos per second", ylim=(0, None), xticks=in_flight)
    for name in ("p50", "p95", "p99"):
        latency.plot(in_flight, [getattr(load, f"{name}_seconds") for load in loads], "o-", label=name)
    latency.set(xlabel="requests in flight", ylabel="seconds per video", ylim=(0, None), xticks=in_flight)
    latency.legend()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else float("nan")


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    half = (max(values) - min(values)) / 2
    return f"{_median(values):.2f}" + (f" +-{half:.2f}" if len(values) > 1 else "")
