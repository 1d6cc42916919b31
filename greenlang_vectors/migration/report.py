"""The report a move ends with: what was compared and kept, by whom, when, and what it rested on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.migration.archive import MoveManifest
from greenlang_vectors.migration.gates import Gate, evidence
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.verification import Verification
from greenlang_vectors.store.weaviate_migrations import Step


@dataclass(frozen=True, slots=True)
class Report:
    """What is signed off when a move ends.

    Attributes:
        by: who signs, and `role`, as whom the database knows them.
        needed_by: other namespaces that have not left the same objects of Weaviate yet.
        compared: the last comparison, made when nothing was written to Weaviate any more.
        not_relayed: documents that were written here since then.
        manifest: of the final archive, which was read back; with its key and SHA-256.
        steps: every step of the move before this one.
    """

    namespace: str
    plan: Plan
    by: str
    role: str
    at: datetime
    needed_by: Sequence[str]
    gates: Sequence[Gate]
    compared: Verification
    not_relayed: int
    manifest: MoveManifest
    manifest_key: str
    manifest_sha256: str
    steps: Sequence[Step]

    @property
    def archived_bytes(self) -> int:
        """Of all parts of the archive together."""
        return sum(part.size_bytes for part in self.manifest.parts)

    @property
    def commands(self) -> list[str]:
        """What deletes the data in Weaviate; nobody but a person runs it, and only once no other
        namespace needs it."""
        if self.needed_by:
            return []
        place = f"$WEAVIATE_URL/v1/schema/{quote(self.plan.collection, safe='')}"
        key = '-H "Authorization: Bearer $WEAVIATE_API_KEY"'
        if self.plan.tenants is None:
            return [f'curl -X DELETE {key} "{place}"']
        tenants = shlex.quote(json.dumps(self.plan.tenants))
        return [
            f"curl -X DELETE {key} -H 'Content-Type: application/json' -d {tenants}"
            f' "{place}/tenants"'
        ]

    @property
    def warnings(self) -> list[str]:
        """What somebody has to see to before that, in sentences."""
        found = []
        if self.needed_by:
            found.append(
                f"Delete nothing of {self.plan.collection} in Weaviate yet: it is needed by"
                f" {', '.join(self.needed_by)}, whose move from it has not ended. The last report"
                " says what deletes it."
            )
        if self.plan.primary == "weaviate":
            found += self._writers
        return found

    @property
    def _writers(self) -> list[str]:
        return [
            "Applications wrote to Weaviate until now, and nothing hinders them: what they write"
            f" there after {self.compared.started_at:%Y-%m-%d %H:%M:%S} UTC does not come to"
            " pgvector any more.",
            "Let them write to pgvector by SDK or HTTP API, take from their keys of Weaviate the"
            " right to write, and carry over by hand what was changed there since that moment.",
        ]

    def as_json(self) -> dict[str, JSON]:
        """As it is kept, and as commands report it."""
        archive = self.manifest.model_dump(mode="json")
        return {
            "format": 1,
            "namespace": self.namespace,
            "collection": self.plan.collection,
            "signed_off": {"by": self.by, "role": self.role, "at": self.at.isoformat()},
            "last_comparison": self.compared.as_json(),
            "documents_not_relayed": self.not_relayed,
            "archive": {
                "manifest": self.manifest_key,
                "manifest_sha256": self.manifest_sha256,
                "objects": self.manifest.objects,
                "size_bytes": self.archived_bytes,
                "parts": archive["parts"],
            },
            "gates": evidence(self.gates),
            "plan": self.plan.model_dump(mode="json"),
            "steps": [_step(each) for each in self.steps],
            "warnings": [*self.warnings],
            "delete_in_weaviate": [*self.commands],
        }

    def as_markdown(self, json_sha256: str) -> str:
        """The same for people.

        Args:
            json_sha256: of the report as JSON.
        """
        return "\n".join(self._lines(json_sha256)) + "\n"

    def _lines(self, json_sha256: str) -> Iterator[str]:
        compared = self.compared
        yield f"# {self.namespace} has left Weaviate"
        yield ""
        yield (
            f"Signed off by {_cell(self.by)} (database role {_cell(self.role)}) on"
            f" {self.at:%Y-%m-%d %H:%M:%S} UTC. The same as JSON has the SHA-256 `{json_sha256}`."
        )
        yield ""
        yield "## Last comparison"
        yield ""
        if self.plan.primary == "pgvector":
            yield "Nothing was written to Weaviate any more when it was made."
            yield ""
        yield from _table(
            ("", ""),
            [
                ("objects read from Weaviate", f"{compared.weaviate:,}"),
                ("objects as Weaviate counts them", f"{compared.counted:,}"),
                ("passages in pgvector", f"{compared.pgvector:,}"),
                ("differences", f"{compared.differing:,}"),
                (
                    "answers in common",
                    "–"
                    if compared.overlap is None
                    else f"{compared.overlap.mean:.4f} of the first {compared.overlap.k},"
                    f" {compared.overlap.queries} queries",
                ),
                ("documents written here since", f"{self.not_relayed:,}"),
                ("seconds", f"{compared.seconds:.1f}"),
            ],
        )
        yield ""
        yield "## Archive"
        yield ""
        yield (
            f"{self.manifest.objects:,} objects, {self.archived_bytes:,} bytes in"
            f" {len(self.manifest.parts)} parts, read back and found as written."
            f" Manifest: `{self.manifest_key}`, SHA-256 `{self.manifest_sha256}`."
        )
        yield ""
        yield from _table(
            ("part", "objects", "bytes", "SHA-256"),
            [
                (part.name, f"{part.objects:,}", f"{part.size_bytes:,}", f"`{part.sha256}`")
                for part in self.manifest.parts
            ],
        )
        yield ""
        yield "## Gates"
        yield ""
        yield from _table(
            ("gate", "measured", "limit"),
            [
                (gate.name, "–" if gate.value is None else f"{gate.value:.4g}", f"{gate.limit:.4g}")
                for gate in self.gates
            ],
        )
        yield ""
        yield "## Steps"
        yield ""
        yield from _table(
            ("when (UTC)", "who", "step", "phase", "share", "evidence"),
            [
                (
                    f"{each.taken_at:%Y-%m-%d %H:%M:%S}",
                    each.taken_by,
                    each.step,
                    each.phase,
                    f"{each.share}%",
                    json.dumps(each.evidence, ensure_ascii=False),
                )
                for each in self.steps
            ],
        )
        yield ""
        yield "## What is left to do"
        yield ""
        for warning in self.warnings:
            yield f"**{warning}**"
            yield ""
        if self.commands:
            yield "Weaviate still holds its data. This deletes it, for good:"
            yield ""
            yield "```sh"
            yield from self.commands
            yield "```"


def _step(each: Step) -> dict[str, JSON]:
    return {
        "at": each.taken_at.isoformat(),
        "by": each.taken_by,
        "step": each.step,
        "phase": each.phase,
        "share": each.share,
        "evidence": each.evidence,
    }


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
