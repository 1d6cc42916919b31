"""The corpus that the repository ships: complete, judged throughout, reproducible."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SOURCES = SAMPLES / "_pdf_sources"
NAMESPACES = ("cbam", "csrd", "default", "eudr", "vcci")

Judgements = dict[str, dict[str, int]]


def documents(namespace: str) -> list[Path]:
    """What a run ingests: every file of the namespace but those in `_evaluation`."""
    paths = (path for path in (SAMPLES / namespace).rglob("*") if path.is_file())
    return [path for path in paths if path.parent.name != "_evaluation"]


def queries(namespace: str) -> dict[str, str]:
    """Question texts by id."""
    lines = (SAMPLES / namespace / "_evaluation" / "queries.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len({record["_id"] for record in records}) == len(records), "an id occurs twice"
    return {record["_id"]: record["text"] for record in records}


def judgements(namespace: str) -> Judgements:
    """Scores by question and document."""
    lines = (SAMPLES / namespace / "_evaluation" / "qrels.tsv").read_text("utf-8").splitlines()
    assert lines[0] == "query-id\tcorpus-id\tscore"
    found: Judgements = {}
    for line in lines[1:]:
        query, document, score = line.split("\t")
        assert document not in found.setdefault(query, {}), f"{query} judges {document} twice"
        found[query][document] = int(score)
    return found


def make_pdfs() -> ModuleType:
    """The script that builds the PDFs, imported from where it lies."""
    spec = importlib.util.spec_from_file_location("make_pdfs", SAMPLES / "make_pdfs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_folder_holds_the_namespaces_and_nothing_that_looks_like_one() -> None:
    folders = {path.name for path in SAMPLES.iterdir() if path.is_dir()} - {"__pycache__"}
    assert {name for name in folders if name[0] not in "_."} == set(NAMESPACES)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_namespace_has_four_documents_in_all_four_formats(namespace: str) -> None:
    found = documents(namespace)
    assert len(found) >= 4
    assert {path.suffix for path in found} == {".pdf", ".html", ".txt", ".md"}


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_file_names_are_plain(namespace: str) -> None:
    odd = [p.name for p in documents(namespace) if not re.fullmatch(r"[a-z0-9-]+\.[a-z]+", p.name)]
    assert odd == []


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_text_documents_are_long_enough_to_be_chunked(namespace: str) -> None:
    readable = [path for path in documents(namespace) if path.suffix != ".pdf"]
    counts = {path.name: len(path.read_text("utf-8").split()) for path in readable}
    assert {name: count for name, count in counts.items() if not 500 <= count <= 1200} == {}


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_question_is_judged_and_every_document_answers_one(namespace: str) -> None:
    asked, judged = queries(namespace), judgements(namespace)
    assert len(asked) >= 12
    assert set(judged) == set(asked)
    names = {path.relative_to(SAMPLES / namespace).as_posix() for path in documents(namespace)}
    assert {document for scores in judged.values() for document in scores} == names


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_question_has_exactly_one_main_answer(namespace: str) -> None:
    for query, scores in judgements(namespace).items():
        assert sorted(scores.values(), reverse=True) == [2] + [1] * (len(scores) - 1), query


def test_every_pdf_has_a_source_and_is_small() -> None:
    pdfs = [path for namespace in NAMESPACES for path in documents(namespace)]
    pdfs = [path for path in pdfs if path.suffix == ".pdf"]
    sources = SOURCES.glob("*/*.md")
    assert {path.relative_to(SAMPLES).with_suffix("") for path in pdfs} == {
        path.relative_to(SOURCES).with_suffix("") for path in sources
    }
    assert max(path.stat().st_size for path in pdfs) < 40_000


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_pdfs_are_reproducible_from_their_sources(namespace: str) -> None:
    pytest.importorskip("reportlab")
    render = make_pdfs().render
    for source in (SOURCES / namespace).glob("*.md"):
        committed = SAMPLES / namespace / f"{source.stem}.pdf"
        assert render(source.read_text("utf-8"), namespace) == committed.read_bytes(), (
            f"run python samples/make_pdfs.py after editing {source.name}"
        )


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_pdfs_exercise_extraction(namespace: str) -> None:
    """Several pages, a repeated header, page numbers and words broken at line ends."""
    pypdfium2 = pytest.importorskip("pypdfium2")
    for path in (SAMPLES / namespace).glob("*.pdf"):
        pages = [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(path)]
        assert 2 <= len(pages) <= 3
        for number, text in enumerate(pages, 1):
            assert f"Sample library \u2013 {namespace.upper()}" in text
            assert f"Page {number}" in text
        broken = re.findall(r"[a-z](?:\ufffe|-\r\n)[a-z]", "".join(pages))
        assert len(broken) >= 3
