"""The dashboard and the alert rules: every series that they query exists, and the rules fire when they should."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from client import Client
from fixtures.synthetic import encode
from server import Server
from tests.metrics import scrape

MONITORING = Path(__file__).parent.parent / "monitoring"
RULES = MONITORING / "prometheus-alerts.yml"
DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text())
PROMETHEUS_OWN = {"up"}
ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
PANELS = DASHBOARD["panels"]
QUERIES = [
    target["expr"].replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")
    for panel in PANELS
    for target in panel.get("targets", [])
]
ADAPTER = yaml.safe_load((MONITORING.parent / "deploy" / "prometheus-adapter-values.yaml").read_text())
SCALING = [
    rule["metricsQuery"].replace("<<.LabelMatchers>>", 'job="video-motion"').replace("<<.GroupBy>>", "instance")
    for rule in ADAPTER["rules"]["custom"]
]
EXPRESSIONS = [*QUERIES, *(alert["expr"] for alert in ALERTS), *SCALING]


def selectors(expression: str) -> list[Any]:
    """The series that an expression queries."""
    found: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expression), pre_visit=visit)
    return found


def test_every_queried_series_exists(server: Server, client: Client) -> None:
    client.score(encode(60))
    there: dict[str, list[dict[str, str]]] = {}
    for name, labels in scrape(server):
        there.setdefault(name, []).append(dict(labels))
    asked = [selector for expression in EXPRESSIONS for selector in selectors(expression)]
    assert len(asked) > 40
    for selector in asked:
        if selector.name in PROMETHEUS_OWN:
            continue
        assert selector.name in there, selector
        for matcher in selector.matchers.matchers:
            if matcher.name in ("job", "instance") or "Not" in str(matcher.op):
                continue  # Prometheus's own, or what is left out
            values = {labels.get(matcher.name) for labels in there[selector.name]}
            wanted = matcher.value.split("|") if "Re" in str(matcher.op) else [matcher.value]
            assert set(wanted) <= values, f"{selector}: {matcher.name} has {values}"


def test_panels_have_unique_ids_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in PANELS]
    assert len(ids) == len(set(ids))
    taken: dict[tuple[int, int], str] = {}
    for panel in PANELS:
        place = panel["gridPos"]
        assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken.get((x, y))}"
                taken[x, y] = panel["title"]


def test_panels_have_descriptions_and_use_the_chosen_source() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "job", "instance"}
    for panel in PANELS:
        if panel["type"] == "row":
            continue
        assert panel["description"]
        assert panel["targets"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(letters) == len(set(letters))
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_alerts_have_a_severity_and_instructions() -> None:
    assert len({alert["alert"] for alert in ALERTS}) == len(ALERTS)
    for alert in ALERTS:
        assert alert["for"]
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        assert alert["annotations"]["summary"]
        assert len(alert["annotations"]["description"]) > 100


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool, which Debian's prometheus has")
def test_the_rules_are_valid_and_fire_when_they_should() -> None:
    tests = Path(__file__).parent / "prometheus-alerts.test.yml"
    for command in (["check", "rules", "--lint-fatal", str(RULES)], ["test", "rules", str(tests)]):
        result = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stdout + result.stderr
    cases = [case for test in yaml.safe_load(tests.read_text())["tests"] for case in test["promql_expr_test"]]
    tried = {case["expr"].split('"')[1] for case in cases if case["exp_samples"]}
    assert tried == {alert["alert"] for alert in ALERTS}
