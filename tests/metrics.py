"""Reading the metrics of a server."""

import re

from server import Server
from server.local_http import open_local

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Values by name and sorted labels."""


def scrape(server: Server) -> Samples:
    """Every sample that the server gives to Prometheus.

    prometheus_client's parser would add `_total` to the names of Triton's counters, which Prometheus does not do.
    """
    address = server.url.rpartition(":")[0]
    url = f"http://{address}:{server.settings.metrics_port}/metrics"
    with open_local(url, 30) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line and not line.startswith("#")]
    samples: Samples = {}
    for line in lines:
        name, labels, value = re.fullmatch(r"(\w+)(?:{(.*)})? (\S+)", line).groups()  # type: ignore[union-attr]
        samples[name, tuple(sorted(re.findall(r'(\w+)="([^"]*)"', labels or "")))] = float(value)
    return samples


def risen(name: str, before: Samples, after: Samples) -> dict[tuple[str, ...], float]:
    """Increases of the samples of a name, by the values of their labels; unchanged samples are left out."""
    changes = {
        tuple(value for _, value in labels): after[found, labels] - before.get((found, labels), 0)
        for found, labels in after
        if found == name
    }
    return {labels: change for labels, change in changes.items() if change}
