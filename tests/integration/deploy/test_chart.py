"""The Helm chart, rendered by Helm, against the schemas of Kubernetes and the options of the commands."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from airflow_provider_pushmetrics.receiver.settings import StandaloneOptions
from airflow_provider_pushmetrics.service.notifications.settings import SlackSettings, SmtpSettings
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.serving.options import list_options
from tests.fakes.deployment_tools import ROOT, run_with_tools

pytestmark = pytest.mark.slow

Values = dict[str, Any]

CHART = ROOT / "deploy" / "helm" / "pushmetrics"
RENDER = """
import json, sys
import helm_python, kubernetes_validate, yaml

path, cases, versions = sys.argv[1], *map(json.loads, sys.argv[2:])
rendered = []
with helm_python.Chart.load(path) as chart:
    for values in cases:
        files = chart.render(values, name="push", namespace="prod")
        texts = [text for name, text in files.items() if name.endswith(".yaml")]
        rendered.append([one for text in texts for one in yaml.safe_load_all(text) if one])
# The first two have all that the others have. A PodMonitor is of the Prometheus operator.
for document in [document for documents in rendered[:2] for document in documents]:
    for version in versions if document["kind"] != "PodMonitor" else ():
        kubernetes_validate.validate(document, version, strict=True)
print(json.dumps({"rendered": rendered, "lint": helm_python.lint(path)["errors"]}, default=str))
"""
REFUSE = """
import json, sys
import helm_python
with helm_python.Chart.load(sys.argv[1]) as chart:
    try:
        chart.render(json.loads(sys.argv[2]), name="push", namespace="prod")
    except Exception as error:
        print(error)
"""
SHOW = """
import json, sys
import helm_python
with helm_python.Chart.load(sys.argv[1]) as chart:
    print("".join(chart.render(json.loads(sys.argv[2]), name="push", namespace="prod").values()))
"""
VERSIONS = ("1.28", "1.37")
"""The oldest that the chart allows, and the newest."""
MINIMAL: Values = {"service": {"publicUrl": "https://push.example.com"}}
EVERYTHING: Values = {
    "startSeconds": 3601,
    "image": {"digest": "sha256:" + "0" * 64},
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccount": {"annotations": {"a": "b"}},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "k", "operator": "Exists"}],
    "priorityClassName": "high",
    "receiver": {
        "hasSigningSecrets": True,
        "keepDays": 30,
        "trustedProxies": "10.0.0.1",
        "extraArgs": ["--no-access-log"],
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"a": "b"},
            "host": "hooks.example.com",
            "tlsSecret": "tls",
        },
    },
    "service": {
        "publicUrl": "https://push.example.com",
        "hasListenDatabaseUrl": True,
        "demo": True,
        "smtp": {"host": "mail", "port": 587, "sender": "a@example.com", "user": "u"},
        "slack": {"enabled": True},
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "data": {"storageClassName": "nfs"},
    },
    "web": {"ingress": {"enabled": True, "host": "push.example.com", "tlsSecret": "tls"}},
    "worker": {"extraArgs": ["--run-concurrency", "2"], "autoscaling": {"enabled": True}},
    "networkPolicy": {
        "ingressFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
    },
    "metrics": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
}
SETTINGS = (StandaloneOptions, ServiceSettings, SmtpSettings, SlackSettings)


RECEIVER_ONLY: Values = {"service": {"enabled": False}}
SERVICE_ONLY: Values = {**MINIMAL, "receiver": {"enabled": False}}
IN_BUCKET: Values = {"service": {**MINIMAL["service"], "resultsUrl": "s3://bucket/results"}}
IN_BUCKET_WITH_SOURCES: Values = {"service": {**IN_BUCKET["service"], "data": {"existingClaim": "sources"}}}
CASES = (MINIMAL, EVERYTHING, RECEIVER_ONLY, SERVICE_ONLY, IN_BUCKET, IN_BUCKET_WITH_SOURCES)


@cache
def render_all() -> list[list[dict[str, Any]]]:
    """Render the chart for each case, and check the documents against versions of Kubernetes."""
    result = json.loads(run_with_tools(RENDER, str(CHART), json.dumps(CASES), json.dumps(VERSIONS)))
    assert result["lint"] == []
    rendered: list[list[dict[str, Any]]] = result["rendered"]
    return rendered


def render(values: Values) -> list[dict[str, Any]]:
    """Give the documents of a case; one name twice of a kind is an error."""
    documents = render_all()[CASES.index(values)]
    names = [(document["kind"], document["metadata"]["name"]) for document in documents]
    assert len(names) == len(set(names))
    return documents


def find(values: Values, kind: str) -> dict[str, Any]:
    """Find the documents of a kind, by the part that they belong to."""
    found = [document for document in render(values) if document["kind"] == kind]
    return {one["metadata"]["labels"]["app.kubernetes.io/component"]: one for one in found}


def list_pods(values: Values) -> dict[str, Any]:
    return {name: one["spec"]["template"]["spec"] for name, one in find(values, "Deployment").items()}


@pytest.mark.parametrize("values", [MINIMAL, EVERYTHING], ids=["minimal", "everything"])
def test_kubernetes_knows_every_field(values: Values) -> None:
    kinds = {document["kind"] for document in render(values)}
    common = {"Deployment", "Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy"}
    optional = {"Ingress", "HorizontalPodAutoscaler", "PodMonitor"} if values is EVERYTHING else set()
    assert kinds == common | optional | {"PersistentVolumeClaim"}


def test_a_part_that_is_off_leaves_nothing() -> None:
    assert set(list_pods(RECEIVER_ONLY)) == {"receiver"}
    assert set(find(RECEIVER_ONLY, "NetworkPolicy")) == {"receiver"}
    assert find(RECEIVER_ONLY, "PersistentVolumeClaim") == {}
    assert set(list_pods(SERVICE_ONLY)) == {"web", "worker"}


@pytest.mark.parametrize("values", [MINIMAL, EVERYTHING], ids=["minimal", "everything"])
def test_the_commands_have_every_option_that_the_chart_sets(values: Values) -> None:
    options = [option for settings in SETTINGS for option in list_options(settings)]
    variables = {option.variable for option in options} | {option.file_variable for option in options}
    flags = {option.flag for option in options} | {"--no-worker", "--no-access-log"}
    for pod in list_pods(values).values():
        (container,) = pod["containers"]
        set_here = {one["name"] for one in container["env"] if one["name"] != "TZ"}
        assert set_here <= variables
        assert {word for word in container["args"] if word.startswith("--")} <= flags


def test_results_in_object_storage_need_no_volume_that_pods_share() -> None:
    assert find(IN_BUCKET, "PersistentVolumeClaim") == {}
    for values, volume in (
        (IN_BUCKET, {"emptyDir": {}}),
        (IN_BUCKET_WITH_SOURCES, {"persistentVolumeClaim": {"claimName": "sources"}}),
    ):
        pods = list_pods(values)
        for pod in (pods["web"], pods["worker"]):
            (data,) = [one for one in pod["volumes"] if one["name"] == "data"]
            assert data == {"name": "data", **volume}
            variables = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
            assert variables["PUSHMETRICS_SERVICE_RESULTS_URL"] == "s3://bucket/results"


def test_start_that_takes_no_time_is_given_a_probe_that_kubernetes_accepts() -> None:
    values = {**MINIMAL, "startSeconds": 0}
    assert "failureThreshold: 1\n" in run_with_tools(SHOW, str(CHART), json.dumps(values))


def test_demo_without_a_volume_that_web_and_workers_share_is_refused() -> None:
    values = {"service": {**IN_BUCKET["service"], "demo": True}}
    assert "set service.data.existingClaim" in run_with_tools(REFUSE, str(CHART), json.dumps(values))
    values["service"]["data"] = {"existingClaim": "sources"}
    assert run_with_tools(REFUSE, str(CHART), json.dumps(values)) == ""


@pytest.mark.parametrize(("values", "seconds"), [(MINIMAL, 300), (EVERYTHING, 3605)])
def test_start_of_a_pod_may_take_as_long_as_the_values_say(values: Values, seconds: int) -> None:
    probes = [pod["containers"][0]["startupProbe"] for pod in list_pods(values).values()]
    assert [probe["periodSeconds"] * probe["failureThreshold"] for probe in probes] == [seconds] * 3


def test_connections_that_all_come_from_an_ingress_are_not_limited() -> None:
    for values, limits in ((MINIMAL, []), (EVERYTHING, ["0", "0"])):
        variables = [one for pod in list_pods(values).values() for one in pod["containers"][0]["env"]]
        found = [one["value"] for one in variables if one["name"].endswith("_CONNECTIONS_PER_ADDRESS")]
        assert found == limits


def test_every_file_of_a_secret_is_mounted_and_no_secret_is_in_the_environment() -> None:
    secrets = {
        option.variable for settings in SETTINGS for option in list_options(settings) if option.is_secret
    }
    for pod in list_pods(EVERYTHING).values():
        (container,) = pod["containers"]
        files = [one["value"] for one in container["env"] if one["name"].endswith("_FILE")]
        (mount,) = [one for one in container["volumeMounts"] if one["name"] == "secrets"]
        assert files
        assert all(file.startswith(mount["mountPath"] + "/") for file in files)
        assert not {one["name"] for one in container["env"]} & secrets


def test_pods_are_as_closed_as_the_restricted_standard_asks() -> None:
    for pod in list_pods(MINIMAL).values():
        (container,) = pod["containers"]
        assert pod["enableServiceLinks"] is False
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_probes_services_and_policies_lead_to_the_port_of_the_command() -> None:
    policies = find(MINIMAL, "NetworkPolicy")
    for name, pod in list_pods(MINIMAL).items():
        (container,) = pod["containers"]
        args = container["args"]
        port = args[args.index("--health-port" if name == "worker" else "--port") + 1]
        assert container["ports"] == [{"name": "http", "containerPort": int(port)}]
        assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "http"}
        assert container["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "http"}
        assert policies[name]["spec"]["ingress"][0]["ports"] == [{"port": int(port), "protocol": "TCP"}]


def test_whoever_scrapes_may_reach_workers_and_receivers() -> None:
    policies = find(EVERYTHING, "NetworkPolicy")
    (scraper,) = EVERYTHING["networkPolicy"]["metricsFrom"]
    admitted = {name: one["spec"]["ingress"][0]["from"] for name, one in policies.items()}
    assert {name for name, peers in admitted.items() if scraper in peers} == {"receiver", "worker"}


def test_workers_scale_by_the_age_of_the_oldest_run() -> None:
    (deployment,) = [one for name, one in find(EVERYTHING, "Deployment").items() if name == "worker"]
    assert "replicas" not in deployment["spec"], "Helm would set back what the autoscaler has set"
    (metric,) = find(EVERYTHING, "HorizontalPodAutoscaler")["worker"]["spec"]["metrics"]
    assert metric["pods"]["metric"] == {
        "name": "pushmetrics_service_work_lag_seconds",
        "selector": {"matchLabels": {"kind": "run"}},
    }


def test_budgets_and_services_select_the_pods_of_their_part_only() -> None:
    labels = {
        name: one["spec"]["template"]["metadata"]["labels"]
        for name, one in find(MINIMAL, "Deployment").items()
    }
    for kind, path in (("PodDisruptionBudget", "matchLabels"), ("Service", None)):
        for name, one in find(MINIMAL, kind).items():
            selector = one["spec"]["selector"]
            wanted = (selector[path] if path else selector).items()
            assert [part for part, own in labels.items() if wanted <= own.items()] == [name]


def test_only_webhooks_come_through_the_ingress_of_the_receiver() -> None:
    (rule,) = find(EVERYTHING, "Ingress")["receiver"]["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/webhooks", "/health"]
