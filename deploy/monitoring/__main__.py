"""Write the dashboards as Grafana reads them: python -m deploy.monitoring"""

from __future__ import annotations

import json
from pathlib import Path

from deploy.monitoring.grafana import Page
from deploy.monitoring.pages import PAGES

FOLDER = Path(__file__).parent / "dashboards"


def rendered(page: Page) -> str:
    """A dashboard's JSON, as it is committed."""
    return json.dumps(page.as_json(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in PAGES:
        (FOLDER / f"{each.uid}.json").write_text(rendered(each), encoding="utf-8")
