"""The picture of a sweep: a panel for each video, videos a second over requests in flight."""

from pathlib import Path

import matplotlib

from bench.gpu.sweep.bounds import Finished, network_videos, nvdec_videos
from bench.gpu.sweep.grid import Grid, Video
from bench.gpu.sweep.recommend import Recommendation

matplotlib.use("Agg")  # works without a display
from matplotlib import pyplot
from matplotlib.artist import Artist
from matplotlib.axes import Axes

COLUMNS = 3
PANEL_INCHES = (3.6, 2.8)


def draw(title: str, grid: Grid, finished: Finished, recommendation: Recommendation | None, path: Path) -> None:
    """Draw the file `path`: for each number of instances its fastest batch and delay, and what bounds them."""
    columns = min(COLUMNS, len(grid.videos))
    rows = -(-len(grid.videos) // columns)
    figure, panels = pyplot.subplots(
        rows,
        columns,
        figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows + 1.2),
        layout="constrained",
        squeeze=False,
    )
    for panel, video in zip(panels.flat, grid.videos, strict=False):
        _panel(panel, grid, finished, video, recommendation)
    for panel in panels.flat[len(grid.videos) :]:
        panel.set_visible(False)
    for row in panels:
        row[0].set_ylabel("videos per second")
    for panel in panels[-1]:
        panel.set_xlabel("requests in flight")
    found: dict[str, Artist] = {}  # a panel may lack a line that others have
    for panel in panels.flat:
        lines, labels = panel.get_legend_handles_labels()
        found |= dict(zip(labels, lines, strict=True))
    if found:
        figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=columns, frameon=False)
    figure.suptitle(title, fontsize=11, wrap=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _panel(panel: Axes, grid: Grid, finished: Finished, video: Video, recommendation: Recommendation | None) -> None:
    for index, instances in enumerate(grid.instances):
        best: dict[int, float] = {}
        for setting in grid.settings():
            for load in grid.loads(setting):
                if load.video == video.name and setting.instances == instances and load in finished:
                    rate = finished[load]["videos_per_second"]
                    best[load.in_flight] = max(rate, best.get(load.in_flight, 0.0))
        if best:
            counts = sorted(best)
            rates = [best[count] for count in counts]
            panel.plot(counts, rates, "o-", color=f"C{index}", label=f"{instances} instances, best batch and delay")
    nvdec = nvdec_videos(finished, video)
    if nvdec is not None:
        panel.axhline(nvdec, color="0.25", linestyle="--", linewidth=1, label="NVDEC alone")
    of_networks = [rate for batch in grid.batches if (rate := network_videos(finished, video, batch)) is not None]
    if of_networks:
        panel.axhline(max(of_networks), color="0.25", linestyle=":", linewidth=1, label="networks alone")
    if recommendation is not None and video.name in recommendation.videos_per_second:
        rate = recommendation.videos_per_second[video.name]
        panel.plot([recommendation.in_flight], [rate], "k*", markersize=11, zorder=3, label="recommended")
    panel.set_title(video.name, fontsize=10)
    panel.set_xscale("log", base=2)
    panel.set_xticks(grid.in_flight, [str(count) for count in grid.in_flight])
    panel.minorticks_off()
    panel.set_ylim(0, None)
