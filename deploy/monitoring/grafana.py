"""As much of Grafana's dashboard JSON as the pages need, typed (schema version 39).

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any, Literal

Json = dict[str, Any]

WIDTH = 24
"""Columns of Grafana's grid."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Target:
    """A query in PromQL, and what its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        kind: Grafana's type of panel.
        says: what one is looking at, shown behind an ⓘ.
        unit: one of Grafana's units, such as "ms", "bytes", "percentunit" (0 to 1) or "reqps".
        limit: where it turns red; None for nowhere.
        bad_below: whether it is red below the limit instead of above.
        most: the end of its scale; None for what the data reaches.
    """

    title: str
    kind: Literal["timeseries", "stat", "gauge"]
    targets: Sequence[Target]
    says: str
    unit: str = "short"
    limit: float | None = None
    bad_below: bool = False
    most: float | None = None
    width: int = 12
    height: int = 8

    def as_json(self, number: int, x: int, y: int) -> Json:
        """The panel at this place of the grid."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.says,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "datasource": DATASOURCE,
            "targets": [
                {
                    "refId": letter,
                    "datasource": DATASOURCE,
                    "expr": target.expr,
                    "legendFormat": target.legend,
                    "instant": self.kind != "timeseries",
                    "range": self.kind == "timeseries",
                }
                for letter, target in zip(ascii_uppercase, self.targets, strict=False)
            ],
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": self._options(),
        }

    def _defaults(self) -> Json:
        below, above = ("red", "green") if self.bad_below else ("green", "red")
        steps: list[Json] = [{"color": "green", "value": None}]
        if self.limit is not None:
            steps = [{"color": below, "value": None}, {"color": above, "value": self.limit}]
        defaults: Json = {
            "unit": self.unit,
            "thresholds": {"mode": "absolute", "steps": steps},
        }
        if self.most is not None:
            defaults |= {"min": 0, "max": self.most}
        if self.kind == "timeseries" and self.limit is not None:
            defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
        return defaults

    def _options(self) -> Json:
        if self.kind == "timeseries":
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard.

    Attributes:
        uid: its name in links and file names.
        choices: what a reader chooses from, by variable: a query such as
            `label_values(metric, label)`.
    """

    uid: str
    title: str
    says: str
    panels: Sequence[Panel]
    choices: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> Json:
        """The dashboard, its panels laid out from left to right and from top to bottom."""
        panels: list[Json] = []
        x = y = 0
        for number, panel in enumerate(self.panels, start=1):
            if x + panel.width > WIDTH:
                x, y = 0, y + self.panels[number - 2].height
            panels.append(panel.as_json(number, x, y))
            x += panel.width
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.says,
            "tags": ["greenlang-vectors"],
            "schemaVersion": 39,
            "version": 1,
            "editable": True,
            "timezone": "utc",
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "links": [
                {
                    "type": "dashboards",
                    "title": "GreenLang Vectors",
                    "tags": ["greenlang-vectors"],
                    "asDropdown": False,
                    "keepTime": True,
                }
            ],
            "templating": {
                "list": [
                    {
                        "name": "datasource",
                        "label": "Prometheus",
                        "type": "datasource",
                        "query": "prometheus",
                    },
                    *(
                        {
                            "name": name,
                            "type": "query",
                            "datasource": DATASOURCE,
                            "query": {"query": query, "refId": "variable"},
                            "refresh": 2,
                            "sort": 1,
                            "includeAll": True,
                            "allValue": ".+",
                            "multi": False,
                        }
                        for name, query in self.choices.items()
                    ),
                ]
            },
            "panels": panels,
        }
