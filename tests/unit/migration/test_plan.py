"""Plans that name the same objects of Weaviate are told from those that do not."""

from __future__ import annotations

from typing import Any

import pytest

from greenlang_vectors.migration.plan import Plan


@pytest.mark.parametrize(
    ("other", "meet"),
    [
        ({}, True),
        ({"collection": "passages"}, True),
        ({"collection": "PASSAGES"}, False),
        ({"tenants": ["b", "c"]}, True),
        ({"tenants": ["c"]}, False),
        ({"tenants": ["a"], "collection": "Others"}, False),
    ],
)
def test_plans_meet_in_a_collection_and_a_tenant(other: dict[str, Any], meet: bool) -> None:
    stored = Plan(collection="Passages").model_dump(mode="json") | other
    assert Plan(collection="Passages", tenants=("a", "b")).meets(stored) is meet


def test_a_plan_of_all_tenants_meets_every_other_of_its_collection() -> None:
    stored = Plan(collection="Passages", tenants=("c",)).model_dump(mode="json")
    assert Plan(collection="Passages").meets(stored)
