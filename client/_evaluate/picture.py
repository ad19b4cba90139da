"""A picture of the distributions of sets, with the 95 % intervals of their means."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .._tables.replace import replacing
from .statistics import Figures, Values


def draw(path: Path, groups: Mapping[str, tuple[Values, Figures]]) -> None:
    """Write the picture. Raises OSError.

    groups: scores and figures of each set and caption, by its name.
    """
    figure = Figure(figsize=(8, 1.2 + 0.7 * len(groups)), layout="constrained")
    axes = figure.subplots()
    positions = np.arange(len(groups), 0, -1)
    for position, (values, found) in zip(positions, groups.values(), strict=True):
        if np.ptp(values) > 0:
            axes.violinplot([values], [position], orientation="horizontal", showextrema=False, widths=0.8)
        low, high = found.mean_confidence_95 or (found.mean, found.mean)
        margins = [[found.mean - low], [high - found.mean]]
        axes.errorbar([found.mean], [position], xerr=margins, fmt="o", color="black")
        axes.plot([found.median], [position], "|", color="black", markersize=14)
    axes.set_yticks(positions, list(groups))
    axes.set_xlabel("fit of frames and caption, 100 cos (dot: mean and its 95 % interval; bar: median)")
    with replacing(path) as partial:
        figure.savefig(partial, format=path.suffix[1:].lower(), dpi=150)
