"""python -m deploy.supply_chain check | sbom: what `make check` and `make sbom` run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def problems() -> Iterator[str]:
    """One line for each licence that will not do, secret that was committed, and known hole."""
    from deploy.supply_chain import advisories, packages, secrets  # noqa: PLC0415

    runtime = packages.runtime()
    for name, licence in packages.unacceptable(runtime).items():
        yield f"{name}: licence {licence or 'not known'}"
    for found in secrets.findings(ROOT, secrets.tracked(ROOT)):
        yield f"{found.path}:{found.line}: {found.kind} (if it is none: pragma: allowlist secret)"
    if advisories.reachable():
        for hole in advisories.advisories(advisories.pins(ROOT / "constraints.txt")):
            mended = ", ".join(hole.fixed_in) or "no version yet"
            yield f"{hole.package} {hole.version}: {hole.id}, mended in {mended}"
        print("Advisories: asked for every pinned package.")
    else:
        print("Advisories: not to be had here, nothing was audited.")
    print(f"Licences: {len(runtime)} packages. Secrets: every tracked file.")


def main(wanted: str) -> int:
    """Print what is wanted; 1 if the check finds anything."""
    if wanted == "sbom":
        from deploy.supply_chain.bom import bill  # noqa: PLC0415

        print(json.dumps(bill(), indent=2))
        return 0
    found = list(problems())
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
