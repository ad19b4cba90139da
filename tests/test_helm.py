"""The Helm chart, the KServe service and the rule for autoscaling, by Helm itself and Kubernetes' own schemas."""

import functools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import kubernetes_validate.utils
import promql_parser
import pytest
import yaml
from helm_python import Chart, HelmError, lint, package

from backends.precision import MAX_INT8_ERROR
from server.preflight import SHARED_MEMORY_BYTES
from server.settings import Settings, max_int8_error

ROOT = Path(__file__).parent.parent
CHART = ROOT / "deploy" / "helm" / "video-motion"
ADAPTER = yaml.safe_load((ROOT / "deploy" / "prometheus-adapter-values.yaml").read_text())
KSERVE = yaml.safe_load((ROOT / "deploy" / "kserve" / "inference-service.yaml").read_text())
OLDEST, NEWEST = "1.25", "1.37"
NOT_OF_KUBERNETES = {"PodMonitor", "ServiceMonitor", "PrometheusRule", "ScaledObject"}
Values = dict[str, Any]
Objects = dict[str, dict[str, Any]]
"""The objects of a release by KIND/NAME."""

PVC: Values = {"modelRepository": {"pvc": {"claimName": "models"}}}
CPU: Values = yaml.safe_load((CHART / "values-cpu.yaml").read_text())
KEDA: Values = {"kind": "keda", "keda": {"serverAddress": "http://prometheus:9090"}, "targetQueueRatio": 1}
MATRIX: dict[str, Values] = {
    "gpu": PVC,
    "cpu": {**CPU, **PVC},
    "cpu-int8": {
        **CPU,
        **PVC,
        "server": {"precision": "int8", "maxInt8Error": 0, "requestLog": "errors", "gate": False},
    },
    "writable-pvc": {"modelRepository": {"pvc": {"claimName": "models", "subPath": "v2", "readOnly": False}}},
    "image": {"modelRepository": {"image": {"imageName": "registry/models:3", "path": "/srv/models"}}},
    "s3": {"modelRepository": {"bucket": {"url": "s3://bucket/models", "secretName": "keys"}}},
    "minio": {"modelRepository": {"bucket": {"url": "s3://bucket/models", "endpoint": "http://minio:9000"}}},
    "gs": {
        "modelRepository": {"bucket": {"url": "gs://bucket/models"}},
        "serviceAccount": {"annotations": {"iam.gke.io/gcp-service-account": "a@b"}},
    },
    "az": {"modelRepository": {"bucket": {"url": "az://container/models", "account": "ours", "secretName": "keys"}}},
    "export": {
        "modelRepository": {
            "image": {"imageName": "registry/models:3"},
            "export": {
                "enabled": True,
                "args": ["--model-repository=/models", "--target=tensorrt"],
                "secretName": "hub",
            },
        },
        "serverArgs": ["--model-config-name=tensorrt", "--log-verbose=1"],
    },
    "tls": {**PVC, "tls": {"secretName": "certificate"}, "networkPolicy": {"enabled": True}},
    "mutual-tls": {**PVC, "tls": {"secretName": "certificate", "clientCA": True}},
    "hpa": {**PVC, "tags": {"autoscaling": True}},
    "hpa-cpu-metric": {
        **PVC,
        "tags": {"autoscaling": True},
        "autoscaling": {
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
                }
            ]
        },
    },
    "keda": {**PVC, "tags": {"autoscaling": True}, "autoscaling": KEDA},
    "pod-monitor": {
        **PVC,
        "metrics": {
            "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
            "grafanaDashboard": {"enabled": True},
        },
    },
    "service-monitor": {
        **PVC,
        "metrics": {"job": "scores", "serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}},
    },
    "bare": {
        **PVC,
        "podDisruptionBudget": {"enabled": False},
        "headlessService": {"enabled": False},
        "serviceAccount": {"create": False},
    },
    "policies": {
        "modelRepository": {"bucket": {"url": "s3://bucket/models"}},
        "networkPolicy": {
            "enabled": True,
            "from": [{"namespaceSelector": {"matchLabels": {"team": "data"}}}],
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}],
        },
    },
    "placed": {
        **PVC,
        "replicaCount": 4,
        "fullnameOverride": "scores",
        "image": {
            "numGpus": 2,
            "imageName": "registry/video-motion@sha256:0123",
            "pullSecrets": [{"name": "registry"}],
        },
        "server": {
            "address": "::",
            "maxConnectionAgeSeconds": 0,
            "stopTimeoutSeconds": 600,
            "env": [{"name": "A", "value": "b"}],
        },
        "runtimeClassName": "nvidia",
        "priorityClassName": "high",
        "nodeSelector": {"nvidia.com/gpu.product": "H100"},
        "podAnnotations": {"a": "b"},
        "podLabels": {"team": "data"},
        "strategy": {"type": "Recreate"},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
    },
}


@pytest.fixture(scope="module", autouse=True)
def schemas_are_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            kubernetes_validate.utils, "schema_contents", functools.cache(kubernetes_validate.utils.schema_contents)
        )
        yield


@pytest.fixture(scope="module")
def chart() -> Chart:
    return Chart.load(CHART)


@functools.cache
def check(text: str, version: str) -> None:
    """Fail if an object, as JSON, is not valid in this version of Kubernetes; cached, as cases have many in common."""
    kubernetes_validate.validate(json.loads(text), version, strict=True)


def render(chart: Chart, values: Values, name: str = "video-motion") -> Objects:
    """Every object that an installation into the namespace `scoring` makes."""
    found: Objects = json.loads(_rendered(chart, json.dumps(values), name))
    return found


@functools.cache
def _rendered(chart: Chart, values: str, name: str) -> str:
    """The same as JSON, from the JSON of the values; cached, as tests have many cases in common."""
    found: Objects = {}
    for file, text in chart.render(json.loads(values), name=name, namespace="scoring").items():
        if file.endswith(".yaml"):
            for one in yaml.load_all(text, yaml.CSafeLoader):
                if one is not None:
                    found[f"{one['kind']}/{one['metadata']['name']}"] = one
    return json.dumps(found)


def pod(objects: Objects, name: str = "video-motion") -> dict[str, Any]:
    return objects[f"Deployment/{name}"]["spec"]["template"]["spec"]


def server(objects: Objects, name: str = "video-motion") -> dict[str, Any]:
    (container,) = pod(objects, name)["containers"]
    return container


def environment(objects: Objects, name: str = "video-motion") -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in server(objects, name)["env"]}


def mounts(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["mountPath"]: mount for mount in container["volumeMounts"]}


def copier(objects: Objects) -> tuple[dict[str, Any], dict[str, str]]:
    """The first init container and its environment."""
    container = pod(objects)["initContainers"][0]
    return container, {entry["name"]: entry["value"] for entry in container.get("env", [])}


def test_the_chart_passes_helms_own_checks() -> None:
    report = lint(CHART, PVC, strict=True)
    assert report["errors"] == []
    assert report["total_charts_linted"] == 1
    assert {message["error"] for message in report["messages"]} <= {"icon is recommended"}


@pytest.mark.parametrize("case", MATRIX)
def test_every_object_is_valid(case: str, chart: Chart) -> None:
    objects = render(chart, MATRIX[case])
    checked = 0
    for one in objects.values():
        if one["kind"] in NOT_OF_KUBERNETES:
            continue
        check(json.dumps(one), NEWEST)
        checked += 1
    assert checked >= 2
    assert chart.render(MATRIX[case], name="video-motion")["video-motion/templates/NOTES.txt"]


@pytest.mark.slow
@pytest.mark.parametrize("case", MATRIX)
def test_every_object_is_valid_in_the_oldest_kubernetes_of_the_chart(case: str, chart: Chart) -> None:
    assert chart.metadata["kubeVersion"] == f">={OLDEST}.0-0"
    for one in render(chart, MATRIX[case]).values():
        if one["kind"] not in NOT_OF_KUBERNETES:
            check(json.dumps(one), OLDEST)


def test_the_check_of_objects_finds_mistakes(chart: Chart) -> None:
    deployment = render(chart, PVC)["Deployment/video-motion"]
    deployment["spec"]["template"]["spec"]["containers"][0]["startupProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, NEWEST, strict=True)


@pytest.mark.parametrize("case", MATRIX)
def test_every_pod_is_restricted_and_has_what_the_server_writes_to(case: str, chart: Chart) -> None:
    objects = render(chart, MATRIX[case])
    name = "scores" if case == "placed" else "video-motion"
    spec = pod(objects, name)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "/tmp" in mounts(container)
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes.keys()
    shared = volumes[mounts(server(objects, name))["/dev/shm"]["name"]]["emptyDir"]
    assert shared["medium"] == "Memory"
    assert int(shared["sizeLimit"].removesuffix("Gi")) << 30 > SHARED_MEMORY_BYTES
    assert environment(objects, name)["HOME"] == "/tmp"


@pytest.mark.parametrize("case", MATRIX)
def test_the_server_understands_its_environment(case: str, chart: Chart) -> None:
    given = environment(render(chart, MATRIX[case]), "scores" if case == "placed" else "video-motion")
    settings = Settings.from_environment(Path("/models"), given)
    values = chart.merge_values(MATRIX[case])
    assert settings.address == values["server"]["address"]
    assert settings.precision == values["server"]["precision"]
    assert settings.max_int8_error == values["server"]["maxInt8Error"]
    assert settings.proxy is values["server"]["gate"]
    assert settings.stop_timeout_seconds == values["server"]["stopTimeoutSeconds"]
    assert (settings.max_connection_age_seconds or 0) == values["server"]["maxConnectionAgeSeconds"]
    assert (settings.tls is not None) == bool(values["tls"]["secretName"])
    assert shlex.split(given.get("TRITON_FLAGS", "")) == values["serverArgs"]


def test_the_largest_error_of_8_bit_networks_is_the_servers_unless_it_is_set(chart: Chart) -> None:
    assert environment(render(chart, PVC))["MAX_INT8_ERROR"] == str(MAX_INT8_ERROR)
    for value in (0, 1, 0.00001, 0.123456789, "0", "1", "0.02"):
        given = environment(render(chart, {**PVC, "server": {"maxInt8Error": value}}))
        assert max_int8_error(given) == float(value)


def test_it_runs_what_the_image_runs(chart: Chart) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    (command,) = re.findall(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)
    (user,) = re.findall(r"FROM base AS serve\n(?:#.*\n)*USER (\d+):\d+", dockerfile)
    objects = render(chart, PVC)
    assert server(objects)["args"] == yaml.safe_load(command)
    assert "command" not in server(objects)  # which would leave out the entry point of NVIDIA's image
    assert pod(objects)["securityContext"]["runAsUser"] == int(user)
    assert {port["containerPort"] for port in server(objects)["ports"]} == {8000, 8001, 8002}


def test_gpus(chart: Chart) -> None:
    one = server(render(chart, PVC))
    assert one["resources"]["limits"]["nvidia.com/gpu"] == 1
    two = render(chart, MATRIX["placed"])
    assert server(two, "scores")["resources"]["limits"]["nvidia.com/gpu"] == 2
    none = render(chart, MATRIX["cpu"])
    assert "nvidia.com/gpu" not in server(none)["resources"]["limits"]
    assert environment(none)["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "tolerations" not in pod(none)


def test_a_pod_that_ends_has_time_for_its_videos(chart: Chart) -> None:
    for case, stop in (("gpu", 180), ("placed", 600)):
        name = "scores" if case == "placed" else "video-motion"
        objects = render(chart, MATRIX[case])
        pause = int(server(objects, name)["lifecycle"]["preStop"]["exec"]["command"][1])
        assert pause > 5 + 5  # Kubernetes' DNS keeps an answer for 5 s, and clients ask every 3 s
        assert pod(objects, name)["terminationGracePeriodSeconds"] >= pause + stop + 10


def test_probes_ask_for_what_they_act_on_and_leave_the_server_time_to_mend_itself(chart: Chart) -> None:
    container = server(render(chart, PVC))
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/v2/health/ready", "readiness": "/v2/health/ready", "liveness": "/v2/health/live"}
    for kind in ("startup", "liveness"):
        probe = container[f"{kind}Probe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] > Settings(Path()).ready_timeout_seconds


def test_with_tls_probes_run_inside_the_container_because_http_is_served_there_only(chart: Chart) -> None:
    objects = render(chart, MATRIX["mutual-tls"])
    for kind, path in (("startup", "ready"), ("readiness", "ready"), ("liveness", "live")):
        command = server(objects)[f"{kind}Probe"]["exec"]["command"]
        assert command[0] == "curl"
        assert command[-1] == f"http://127.0.0.1:8000/v2/health/{path}"
    assert "http" not in {port["name"] for port in server(objects)["ports"]}
    assert "http" not in {port["name"] for port in objects["Service/video-motion"]["spec"]["ports"]}
    given = environment(objects)
    assert [given[f"TLS_{name}"] for name in ("CERTIFICATE", "KEY", "CLIENT_CA")] == [
        "/tls/tls.crt",
        "/tls/tls.key",
        "/tls/ca.crt",
    ]
    assert mounts(server(objects))["/tls"]["readOnly"] is True
    assert "TLS_CLIENT_CA" not in environment(render(chart, MATRIX["tls"]))
    policy = render(chart, MATRIX["tls"])["NetworkPolicy/video-motion"]
    assert [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]] == ["grpc", "metrics"]


def test_services(chart: Chart) -> None:
    objects = render(chart, PVC)
    headless, ordinary = objects["Service/video-motion-grpc"]["spec"], objects["Service/video-motion"]["spec"]
    assert headless["clusterIP"] == "None"
    assert "publishNotReadyAddresses" not in headless  # or clients would find pods that load their networks
    labels = objects["Deployment/video-motion"]["spec"]["template"]["metadata"]["labels"]
    for service in (headless, ordinary):
        assert service["selector"].items() <= labels.items()
    assert {port["name"]: port["port"] for port in ordinary["ports"]} == {"http": 8000, "grpc": 8001, "metrics": 8002}
    notes = chart.render(PVC, name="video-motion")["video-motion/templates/NOTES.txt"]
    assert "--url dns:///video-motion-grpc:8001" in notes
    bare = render(chart, MATRIX["bare"])
    assert bare.keys() == {"Deployment/video-motion", "Service/video-motion"}
    assert "Service/our-video-motion-grpc" in render(chart, PVC, name="our")


def test_a_claim_is_mounted_read_only_unless_asked_otherwise(chart: Chart) -> None:
    assert mounts(server(render(chart, PVC)))["/models"]["readOnly"] is True
    writable = render(chart, MATRIX["writable-pvc"])
    assert mounts(server(writable))["/models"] == {
        "name": "models",
        "mountPath": "/models",
        "readOnly": False,
        "subPath": "v2",
    }
    assert "initContainers" not in pod(writable)


def test_models_are_copied_from_an_image_or_a_bucket(chart: Chart) -> None:
    container, _ = copier(render(chart, MATRIX["image"]))
    assert container["image"] == "registry/models:3"
    assert container["command"] == ["/bin/sh", "-c", 'cp -R "$0"/. /models/', "/srv/models"]
    container, given = copier(render(chart, MATRIX["s3"]))
    assert container["args"][:3] == ["copy", "source:bucket/models", "/models"]
    assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert (given["RCLONE_CONFIG_SOURCE_TYPE"], given["RCLONE_CONFIG_SOURCE_PROVIDER"]) == ("s3", "AWS")
    given = copier(render(chart, MATRIX["minio"]))[1]
    assert given["RCLONE_CONFIG_SOURCE_PROVIDER"] == "Other"
    assert given["RCLONE_CONFIG_SOURCE_ENDPOINT"] == "http://minio:9000"
    assert copier(render(chart, MATRIX["gs"]))[1]["RCLONE_CONFIG_SOURCE_TYPE"] == "google cloud storage"
    given = copier(render(chart, MATRIX["az"]))[1]
    assert (given["RCLONE_CONFIG_SOURCE_TYPE"], given["RCLONE_CONFIG_SOURCE_ACCOUNT"]) == ("azureblob", "ours")
    assert "RCLONE_CONFIG_SOURCE_ENV_AUTH" not in given  # it would make rclone ignore the key in the Secret
    bucket = {"url": "az://container/models", "account": "ours"}
    for values in (MATRIX["s3"], MATRIX["gs"], {"modelRepository": {"bucket": bucket}}):
        assert copier(render(chart, values))[1]["RCLONE_CONFIG_SOURCE_ENV_AUTH"] == "true"
    objects = render(chart, MATRIX["export"])
    copy, export = pod(objects)["initContainers"]
    assert (copy["name"], export["name"]) == ("copy-models", "export-models")
    assert export["args"] == ["--model-repository=/models", "--target=tensorrt"]
    assert export["resources"]["limits"]["nvidia.com/gpu"] == 1  # a plan runs only on the GPU that built it
    assert mounts(server(objects))["/models"]["readOnly"] is True


def test_the_network_policy_lets_the_server_connect_to_nothing_unless_it_fetches(chart: Chart) -> None:
    spec = render(chart, MATRIX["tls"])["NetworkPolicy/video-motion"]["spec"]
    assert (spec["policyTypes"], spec["egress"]) == (["Ingress", "Egress"], [])
    assert spec["ingress"][0]["from"] == [{"podSelector": {}}]
    spec = render(chart, MATRIX["policies"])["NetworkPolicy/video-motion"]["spec"]
    assert spec["egress"][0]["ports"] == [{"port": 443}]
    assert spec["ingress"][0]["from"] == [{"namespaceSelector": {"matchLabels": {"team": "data"}}}]
    fetching = {**MATRIX["s3"], "networkPolicy": {"enabled": True}}
    assert render(chart, fetching)["NetworkPolicy/video-motion"]["spec"]["policyTypes"] == ["Ingress"]


def test_alerts_and_the_dashboard_are_those_of_the_repository(chart: Chart) -> None:
    rules = yaml.safe_load((ROOT / "monitoring" / "prometheus-alerts.yml").read_text())
    objects = render(chart, MATRIX["pod-monitor"])
    assert objects["PrometheusRule/video-motion"]["spec"] == rules
    assert objects["PrometheusRule/video-motion"]["metadata"]["labels"]["release"] == "prometheus"
    dashboard = objects["ConfigMap/video-motion-dashboard"]["data"]["video-motion.json"]
    assert dashboard == (ROOT / "monitoring" / "grafana-dashboard.json").read_text()
    (endpoint,) = objects["PodMonitor/video-motion"]["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "video-motion"}]
    assert endpoint["port"] in {port["name"] for port in server(objects)["ports"]}


def test_another_job_is_named_alike_everywhere(chart: Chart) -> None:
    objects = render(chart, MATRIX["service-monitor"])
    monitor = objects["ServiceMonitor/video-motion"]["spec"]
    assert monitor["endpoints"][0]["relabelings"] == [{"targetLabel": "job", "replacement": "scores"}]
    # It finds one of the two Services, or each pod would be read twice.
    wanted = monitor["selector"]["matchLabels"].items()
    services = [name for name, one in objects.items() if wanted <= one["metadata"].get("labels", {}).items()]
    assert services == ["Service/video-motion"]
    text = str(objects["PrometheusRule/video-motion"]["spec"])
    assert 'up{job="scores"}' in text
    assert 'job="video-motion"' not in re.sub(r"with job=\S+", "", text)


def test_no_prometheus_no_objects_of_its_operator(chart: Chart) -> None:
    kinds = {one["kind"] for one in render(chart, PVC).values()}
    assert not kinds & NOT_OF_KUBERNETES


def ratio_of_adapter(matchers: str, by: str) -> str:
    """The query that prometheus-adapter makes."""
    query = ADAPTER["rules"]["custom"][0]["metricsQuery"]
    return query.replace("<<.LabelMatchers>>", matchers).replace(" by (<<.GroupBy>>)", by)


def test_autoscaling_asks_for_the_ratio_of_queue_to_compute(chart: Chart) -> None:
    objects = render(chart, MATRIX["hpa"])
    assert "replicas" not in objects["Deployment/video-motion"]["spec"]
    hpa = objects["HorizontalPodAutoscaler/video-motion"]
    assert hpa["apiVersion"] == "autoscaling/v2"
    assert hpa["spec"]["scaleTargetRef"]["name"] == "video-motion"
    (metric,) = hpa["spec"]["metrics"]
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "0.5"}
    # Busy pods without a queue have the ratio 0: they must not all be taken away at once.
    assert hpa["spec"]["behavior"]["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 120}]
    (rule,) = ADAPTER["rules"]["custom"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    assert re.fullmatch(rule["name"]["matches"], rule["seriesQuery"].partition("{")[0])
    given = render(chart, MATRIX["hpa-cpu-metric"])["HorizontalPodAutoscaler/video-motion"]["spec"]["metrics"]
    assert given == MATRIX["hpa-cpu-metric"]["autoscaling"]["metrics"]


@pytest.mark.parametrize("ratio", ["0.5", "0.05", "2", "1.25"])
def test_a_fraction_may_be_text_because_set_makes_it_that(ratio: str, chart: Chart) -> None:
    given = {"targetQueueRatio": ratio}
    objects = render(chart, {**PVC, "tags": {"autoscaling": True}, "autoscaling": given})
    check(json.dumps(objects["HorizontalPodAutoscaler/video-motion"]), NEWEST)
    (metric,) = objects["HorizontalPodAutoscaler/video-motion"]["spec"]["metrics"]
    assert metric["pods"]["target"]["averageValue"] == ratio
    scaled = render(chart, {**PVC, "tags": {"autoscaling": True}, "autoscaling": {**KEDA, **given}})
    assert scaled["ScaledObject/video-motion"]["spec"]["triggers"][0]["metadata"]["threshold"] == ratio


def test_keda_asks_for_the_same(chart: Chart) -> None:
    objects = render(chart, MATRIX["keda"])
    assert not [key for key in objects if key.startswith("HorizontalPodAutoscaler")]
    scaled = objects["ScaledObject/video-motion"]["spec"]
    (trigger,) = scaled["triggers"]
    assert trigger["metadata"]["threshold"] == "1"
    assert trigger["metricType"] == "Value"  # the ratio of all pods together, not to be divided by their number
    query = trigger["metadata"]["query"]
    assert query == ratio_of_adapter('namespace="scoring",job="video-motion"', "")
    promql_parser.parse(query)
    promql_parser.parse(ratio_of_adapter('namespace="scoring",pod=~"a|b"', " by (pod)"))


REFUSED: list[tuple[Values, str]] = [
    ({"replicaCount": "two"}, "at '/replicaCount': got string, want integer"),
    ({"replicaCount": -1}, "at '/replicaCount': minimum: got -1, want 0"),
    ({"image": {"numGpu": 1}}, "at '/image': additional properties 'numGpu' not allowed"),
    ({"image": {"imageName": ""}}, "at '/image/imageName': minLength: got 0, want 1"),
    ({"image": {"pullPolicy": "Sometimes"}}, "value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ({"replicas": 3}, "additional properties 'replicas' not allowed"),
    ({"server": {"precision": "fp16"}}, "value must be one of 'auto', 'f32', 'bf16', 'int8'"),
    ({"server": {"maxInt8Error": 1.5}}, "at '/server/maxInt8Error': maximum: got 1.5, want 1"),
    ({"server": {"maxInt8Error": "much"}}, "at '/server/maxInt8Error': 'much' does not match pattern"),
    ({"server": {"maxInt8Error": "1.5"}}, "at '/server/maxInt8Error': '1.5' does not match pattern"),
    ({"server": {"stopTimeoutSeconds": 0}}, "at '/server/stopTimeoutSeconds': minimum: got 0, want 1"),
    ({"server": {"gate": "off"}}, "at '/server/gate': got string, want boolean"),
    ({"sharedMemory": {"sizeGi": 1}}, "at '/sharedMemory/sizeGi': minimum: got 1, want 2"),
    ({"service": {"type": "ExternalName"}}, "value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'"),
    ({"autoscaling": {"targetQueueRatio": 0}}, "at '/autoscaling/targetQueueRatio': exclusiveMinimum: got 0, want 0"),
    ({"autoscaling": {"targetQueueRatio": "0.0"}}, "at '/autoscaling/targetQueueRatio': '0.0' does not match pattern"),
    ({"autoscaling": {"kind": "vpa"}}, "value must be one of 'hpa', 'keda'"),
    ({"tls": {"secretName": "Not A Name"}}, "'Not A Name' does not match pattern"),
    ({"serverArgs": ["log-verbose"]}, "'log-verbose' does not match pattern"),
    (
        {"modelRepository": {"bucket": {"url": "http://bucket"}, "pvc": {"claimName": ""}}},
        "'http://bucket' does not match pattern",
    ),
    (
        {"serverArgs": ["--grpc-max-connection-age=3"]},
        "serverArgs has --grpc-max-connection-age=3, which the chart or the server sets itself",
    ),
    ({"serverArgs": ["--cache-config=local,size=9"]}, "the response cache would answer with other parameters' scores"),
    (
        {"server": {"env": [{"name": "GRPC_PORT", "value": "9"}]}},
        "server.env has GRPC_PORT, which the chart sets itself",
    ),
    (
        {"server": {"env": [{"name": "MAX_INT8_ERROR", "value": "0.02"}]}},
        "server.env has MAX_INT8_ERROR, which the chart sets itself",
    ),
    ({"modelRepository": {"pvc": {"claimName": ""}}}, "modelRepository has no source: set one of"),
    (
        {"modelRepository": {"image": {"imageName": "a"}, "pvc": {"claimName": "b"}}},
        "modelRepository has several sources (pvc.claimName, image.imageName): set one of them",
    ),
    (
        {"modelRepository": {"export": {"enabled": True}, "pvc": {"claimName": "b"}}},
        "with modelRepository.pvc, export into the claim before the installation",
    ),
    (
        {"modelRepository": {"bucket": {"url": "az://a/b"}, "pvc": {"claimName": ""}}},
        "modelRepository.bucket.account must name the storage account",
    ),
    ({"tls": {"clientCA": True}}, "tls.clientCA needs tls.secretName, the Secret that holds ca.crt"),
    (
        {"metrics": {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}},
        "metrics.podMonitor and metrics.serviceMonitor are both enabled: Prometheus would read each pod twice",
    ),
    (
        {"tags": {"autoscaling": True}, "autoscaling": {"minReplicas": 5}},
        "autoscaling.minReplicas is 5, it must be at most autoscaling.maxReplicas, 3",
    ),
    (
        {"tags": {"autoscaling": True}, "autoscaling": {"kind": "keda"}},
        "autoscaling.keda.serverAddress must be the URL of Prometheus",
    ),
    (
        {"tags": {"autoscaling": True}, "autoscaling": {**KEDA, "metrics": [{"type": "Resource"}]}},
        "autoscaling.metrics is for autoscaling.kind hpa",
    ),
]


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_bad_values_are_refused_with_a_sentence(values: Values, message: str, chart: Chart) -> None:
    with pytest.raises(HelmError) as raised:
        chart.render({**PVC, **values}, name="video-motion")
    assert message in str(raised.value)


def test_every_value_has_a_place_in_the_schema_and_in_a_template(chart: Chart) -> None:
    templates = "\n".join(template["data"] for template in chart.templates)

    def visit(values: Values, schema: dict[str, Any], path: str) -> None:
        assert values.keys() == schema["properties"].keys() - ({"global"} if not path else set()), path
        for name, value in values.items():
            below = schema["properties"][name]
            if f"toYaml .Values{path}.{name} " in templates:
                continue  # all that is in it
            if "properties" in below and below.get("additionalProperties") is False:
                visit(value, below, f"{path}.{name}")
            else:
                assert re.search(rf"\.{name}\b", templates), f"{path}.{name}"

    assert chart.schema is not None
    visit(chart.values, chart.schema, "")


def test_a_packaged_chart_is_whole(tmp_path: Path, chart: Chart) -> None:
    packaged = Chart.load(package(CHART, destination=tmp_path))
    values = MATRIX["pod-monitor"]
    assert render(packaged, values) == render(chart, values)  # with the alerts, which are links in the folder


def test_the_version_of_the_application_is_the_clients(chart: Chart) -> None:
    from client import __version__

    assert chart.metadata["appVersion"] == __version__


def test_the_kserve_service_runs_the_same_container_as_the_chart(chart: Chart) -> None:
    predictor = dict(KSERVE["spec"]["predictor"])
    for own in ("minReplicas", "maxReplicas", "timeout"):
        predictor.pop(own)
    podlike = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": predictor}
    check(json.dumps(podlike), NEWEST)
    (ours,) = predictor["containers"]
    theirs = server(render(chart, PVC))
    assert ours["name"] == "kserve-container"
    for same in ("image", "securityContext", "resources", "lifecycle"):
        assert ours[same] == theirs[same]
    for kind in ("startup", "readiness", "liveness"):
        expected = theirs[f"{kind}Probe"]
        expected["httpGet"]["port"] = 8000
        assert ours[f"{kind}Probe"] == expected
    assert [argument.replace("/mnt/models", "/models") for argument in ours["args"]] == theirs["args"]
    Settings.from_environment(Path("/models"), {entry["name"]: entry["value"] for entry in ours["env"]})
    whole = pod(render(chart, PVC))
    assert predictor["terminationGracePeriodSeconds"] == whole["terminationGracePeriodSeconds"]
    volumes = {volume["name"]: volume for volume in whole["volumes"]}
    assert all(volumes[volume["name"]] == volume for volume in predictor["volumes"])
