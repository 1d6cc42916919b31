"""Dashboards are what their code makes, and begin with PRD 11.2's panels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.monitoring.__main__ import FOLDER, rendered
from deploy.monitoring.grafana import WIDTH, Page
from deploy.monitoring.pages import OVERVIEW, PAGES

PRD_11_2 = {
    "Vector Search Latency": "timeseries",
    "Embeddings Count by Namespace": "stat",
    "Index Memory Usage": "gauge",
    "Search Throughput": "timeseries",
}

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.uid)


@pages
def test_the_committed_dashboard_is_what_the_code_makes(page: Page) -> None:
    committed = (FOLDER / f"{page.uid}.json").read_text("utf-8")
    assert committed == rendered(page), "run: python -m deploy.monitoring"


def test_no_dashboard_is_committed_that_no_code_makes() -> None:
    assert {path.stem for path in Path(FOLDER).iterdir()} == {page.uid for page in PAGES}


def test_the_panels_of_the_prd_come_first() -> None:
    panels = json.loads(rendered(OVERVIEW))["panels"][:4]
    assert {panel["title"]: panel["type"] for panel in panels} == PRD_11_2
    legends = [target["legendFormat"] for target in panels[0]["targets"]]
    assert legends == ["P99", "P50"]


@pages
def test_panels_do_not_overlap_and_say_what_they_show(page: Page) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in page.as_json()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < WIDTH
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["description"]
        assert panel["targets"]
