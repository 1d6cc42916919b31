"""Nothing reaches anything that no policy names."""

from __future__ import annotations

from .manifests import WORKLOADS, Manifest, called, everything, of_kind, pod, written

POLICIES = {
    each["metadata"]["name"]: each["spec"] for each in of_kind(written("base"), "NetworkPolicy")
}
VPC = "10.0.0.0/16"
METADATA_SERVICE = "169.254.169.254/32"


def reached(rule: Manifest) -> set[int]:
    return {each["port"] for each in rule["ports"]}


def test_all_is_denied_first() -> None:
    denied = POLICIES["default-deny"]
    assert denied == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_each_pod_has_a_policy_of_its_own() -> None:
    for workload in of_kind(everything(), *WORKLOADS):
        labels = pod(workload)["metadata"]["labels"]
        own = [
            name
            for name, policy in POLICIES.items()
            if (wanted := policy["podSelector"].get("matchLabels"))
            and wanted.items() <= labels.items()
        ]
        assert len(own) == 1, called(workload)


def test_pods_reach_the_database_redis_dns_and_aws_alone() -> None:
    ports = {
        "dns": {53},
        "api": {6432, 6379, 443},
        "pgbouncer": {5432},
        "exporter": {5432},
        "schema-upgrade": {5432},
        "pipeline": {3030, 5432, 443},
    }
    for name, policy in POLICIES.items():
        rules = policy.get("egress", [])
        assert set().union(*map(reached, rules)) == ports.get(name, set()), name


def test_only_runs_reach_beyond_the_vpc_and_by_443_alone() -> None:
    for name, policy in POLICIES.items():
        for rule in policy.get("egress", []):
            for peer in rule["to"]:
                block = peer.get("ipBlock")
                if block is not None and block["cidr"] != VPC:
                    assert (name, reached(rule)) == ("pipeline", {443})
                    assert METADATA_SERVICE in block["except"]


def test_nobody_is_reached_by_all() -> None:
    for name, policy in POLICIES.items():
        for rule in policy.get("ingress", []):
            assert rule["from"], name
            assert all("ipBlock" not in peer for peer in rule["from"]), name
