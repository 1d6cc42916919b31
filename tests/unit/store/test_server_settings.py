"""The numbers of PRD 18.2, 5.4.1 and 8.3, and what of a server keeps them."""

from __future__ import annotations

from greenlang_vectors.store.server_settings import (
    CONNECTIONS,
    ENVIRONMENTS,
    GIB,
    POOLER,
    expected,
)


def test_production_has_the_settings_of_the_prd() -> None:
    machine = ENVIRONMENTS["production"]
    wanted = {e.name: e for e in expected("production", machine.memory_gib * GIB, machine.vcpu)}
    assert {name: wanted[name].value / GIB for name in wanted if wanted[name].unit} == {
        "shared_buffers": 16,
        "effective_cache_size": 48,
        "maintenance_work_mem": 2,
        "work_mem": 0.25,
    }
    assert wanted["max_parallel_workers_per_gather"].value == 4
    assert wanted["random_page_cost"].value == 1.1
    assert wanted["hnsw.ef_search"].value == 100


def test_smaller_machines_have_smaller_ones() -> None:
    values = [
        [each.value for each in expected(name, machine.memory_gib * GIB, machine.vcpu)][:4]
        for name, machine in ENVIRONMENTS.items()
    ]
    for column in zip(*values, strict=True):
        assert list(column) == sorted(set(column))


def test_more_is_well_and_less_is_not_except_of_costs() -> None:
    wanted = {each.name: each for each in expected("production", 64 * GIB, 8)}
    assert wanted["shared_buffers"].kept(48 * GIB)
    assert not wanted["shared_buffers"].kept(8 * GIB)
    assert wanted["random_page_cost"].kept(1.0)
    assert not wanted["random_page_cost"].kept(4.0)


def test_a_server_takes_what_the_pool_may_open() -> None:
    assert int(POOLER["default_pool_size"]) + int(POOLER["reserve_pool_size"]) < CONNECTIONS
    assert POOLER["pool_mode"] == "transaction"
