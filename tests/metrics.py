"""Reading the metrics of a server."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from server import Server

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Values by name and sorted labels."""


def scrape(server: Server) -> Samples:
    """Every sample that the server gives to Prometheus."""
    url = f"http://{server.settings.address}:{server.settings.metrics_port}/metrics"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=30) as answer:
        families = [*text_string_to_metric_families(answer.read().decode())]
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def risen(name: str, before: Samples, after: Samples) -> dict[tuple[str, ...], float]:
    """By how much the samples of a name have risen, those that have, by the values of their labels."""
    changes = {
        tuple(value for _, value in labels): after[found, labels] - before.get((found, labels), 0)
        for found, labels in after
        if found == name
    }
    return {labels: change for labels, change in changes.items() if change}
