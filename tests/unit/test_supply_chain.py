"""What the product is made of: licences, committed secrets, known holes, the bill of materials."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

pytest.importorskip("detect_secrets", reason="needs the extra dev")

from deploy.supply_chain import advisories, bom, packages, secrets

KNOWN_FORM = "AKIA" + "Q7ZP2MX4LW9RT6BD"
PRIVATE_KEY = "-----BEGIN " + "RSA PRIVATE KEY-----"


@pytest.fixture(scope="module")
def bill() -> dict[str, object]:
    return bom.bill()


def package(folder: Path, name: str, *lines: str) -> Distribution:
    metadata = folder / f"{name}-1.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("\n".join([f"Name: {name}", "Version: 1", *lines, ""]))
    return PathDistribution(metadata.parent)


def test_licences_of_what_runs_are_known_and_let_a_service_be_built() -> None:
    running = packages.runtime()
    assert {"dagster", "psycopg", "torch", "boto3", "weaviate-client"} <= set(running)
    assert not {"pytest", "mypy", "moto", packages.PRODUCT} & set(running)
    assert packages.unacceptable(running) == {}


@pytest.mark.parametrize(
    ("line", "acceptable"),
    [
        ("License-Expression: AGPL-3.0-or-later", False),
        ("Classifier: License :: OSI Approved :: GNU Affero General Public License v3", False),
        ("License: SSPL", False),
        ("License: UNKNOWN", False),
        ("Summary: says nothing", False),
        ("License-Expression: LGPL-3.0-only", True),
        ("Classifier: License :: OSI Approved :: MIT License", True),
    ],
)
def test_a_licence_is_judged_by_what_the_package_says(
    tmp_path: Path, line: str, acceptable: bool
) -> None:
    judged = packages.unacceptable({"it": package(tmp_path, "it", line)})
    assert (judged == {}) is acceptable


@pytest.mark.parametrize(
    ("name", "line", "found"),
    [
        ("tests/fixture.py", f'KEY = "{KNOWN_FORM}"', True),
        ("docs/guide.md", PRIVATE_KEY, True),
        ("settings.py", 'url = "postgresql://app:k8Jw-2q.Zt7@db.internal/vectors"', True),
        ("settings.py", 'password = "k8Jw2qZt7Lm4"', True),
        ("tests/fixture.py", 'url = "postgresql://app:k8Jw-2q.Zt7@db.internal/vectors"', False),
        ("settings.py", 'url = "postgresql://USER:PASSWORD@HOST/vectors"', False),
        ("values.yaml", "existingSecret: dagster-postgresql", False),
        ("settings.py", 'password = "k8Jw2qZt7Lm4"  # pragma: allowlist secret', False),
    ],
)
def test_a_secret_that_is_committed_is_found_and_not_repeated(
    tmp_path: Path, name: str, line: str, found: bool
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"first = 1\n{line}\n")
    for command in (["init", "-q"], ["add", name]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    made = list(secrets.findings(tmp_path, secrets.tracked(tmp_path)))
    assert [(each.path, each.line) for each in made] == ([(name, 2)] if found else [])
    assert not any(word in repr(made) for word in (KNOWN_FORM, "k8Jw"))


def test_nothing_counts_as_audited_where_advisories_are_not_to_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mirror that knows no advisories skips each package, and pip-audit finds nothing then."""
    skipped = {"name": "django", "skip_reason": "not found"}
    monkeypatch.setattr(advisories, "_asked", lambda _: [skipped])
    assert not advisories.reachable()
    hole = {"id": "CVE-1", "fix_versions": ["2.2.2"]}
    told = {"name": "django", "version": "2.2", "vulns": [hole]}
    monkeypatch.setattr(advisories, "_asked", lambda _: [told])
    assert advisories.reachable()
    assert list(advisories.advisories(["django==2.2"])) == [
        advisories.Advisory("django", "2.2", "CVE-1", ("2.2.2",))
    ]


def test_the_bill_of_materials_lists_what_runs_with_licences(bill: dict[str, object]) -> None:
    running = packages.runtime()
    listed = {canonicalize_name(each["name"]): each for each in bill["components"]}
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == (
        "CycloneDX",
        packages.PRODUCT,
    )
    assert set(listed) == set(running)
    for name, each in listed.items():
        assert each["version"] == running[name].version
        assert each["licenses"]
    references = {each["bom-ref"] for each in listed.values()}
    for each in bill["dependencies"]:
        assert set(each["dependsOn"]) <= references


def test_the_bill_tells_nothing_of_the_machine(bill: dict[str, object], repository: Path) -> None:
    text = json.dumps(bill)
    assert str(repository) not in text
    assert "file://" not in text


def test_models_are_read_from_this_machine_and_run_no_code(repository: Path) -> None:
    """What bandit's B614 and B615 ask for, which ruff's rules do not know."""
    loaders = {"SentenceTransformer", "CrossEncoder", "snapshot_download", "from_pretrained"}
    calls = [
        call
        for path in (repository / "greenlang_vectors").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
    ]
    named = [(getattr(call.func, "attr", getattr(call.func, "id", "")), call) for call in calls]
    loading = [call for name, call in named if name in loaders]
    assert len(loading) >= 3
    for call in loading:
        given = {each.arg: ast.unparse(each.value) for each in call.keywords}
        assert given.get("local_files_only") == "True", ast.unparse(call)
        assert given.get("trust_remote_code", "False") == "False"
    assert not [
        call for name, call in named if ast.unparse(call.func) in {"torch.load", "pickle.load"}
    ]


def test_what_the_threat_model_rests_on_is_tested(repository: Path) -> None:
    """Each test that docs/security.md names is there."""
    text = (repository / "docs" / "security.md").read_text()
    named = re.findall(r"`((?:unit|integration|faults)/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 30
    for path, test in named:
        source = (repository / "tests" / path).read_text()
        assert f"def {test}(" in source or not test, f"{path}::{test}"
