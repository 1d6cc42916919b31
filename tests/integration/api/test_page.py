"""The page at `/`, as a real browser shows it."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode

import pytest
import uvicorn
from starlette.testclient import TestClient

from greenlang_vectors.api.app import create_app
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

from .conftest import Refill

pytestmark = pytest.mark.integration

HOSTILE = """<html><head><title>Zinc &lt;img src=x onerror=document.title='owned'&gt;</title></head>
<body><h1>Zinc &lt;script&gt;document.title='owned'&lt;/script&gt;</h1>
<p>Zinc smelting &lt;/p&gt;&lt;script&gt;document.title='owned'&lt;/script&gt; emits dust.</p>
<script>document.title='owned'</script></body></html>"""

Browse = Callable[[str], str]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """The document that a browser has made of an address once all is quiet."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")

    def dump(url: str) -> str:
        flags = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
            "--disable-background-networking --disable-component-update --disable-sync "
            "--dump-dom --virtual-time-budget=8000"
        )
        run = subprocess.run(
            [browser, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", url],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return run.stdout

    return dump


@pytest.fixture
def open_page(
    database: Database,
    toys: Embedders,
    api_settings: Settings,
    refill: Refill,
    tmp_path: Path,
) -> Iterator[str]:
    """A service without authentication, with a hostile document in the namespace `metals`."""
    folder = tmp_path / "metals"
    folder.mkdir()
    (folder / "zinc<b>.html").write_text(HOSTILE)
    (folder / "calm.txt").write_text("Zinc is galvanised onto steel. Reporting is reported.")
    with database.connect() as connection:
        namespaces.register(connection, "metals", source_uri=str(folder))
    refill("metals")
    app = create_app(database, api_settings, embedders=toys, authentication=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = Thread(target=server.run, args=([listening],))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


def address(page: str, query: str) -> str:
    return f"{page}#{urlencode({'q': query, 'in': 'metals', 'mode': 'text'})}"


def test_a_question_shows_passages_with_its_words_marked(browse: Browse, open_page: str) -> None:
    shown = browse(address(open_page, "Is zinc reported?"))
    assert "<mark>Zinc</mark> is galvanised" in shown
    assert "<mark>Reporting</mark> is <mark>reported</mark>" in shown
    assert "calm.txt" in shown
    assert re.search(r'id="status"[^>]*>2 passages in \d+ ms', shown)
    assert re.search(r'id="key-form"[^>]* hidden', shown)


def test_nothing_in_a_document_runs(browse: Browse, open_page: str) -> None:
    shown = browse(address(open_page, "zinc smelting"))
    results = shown[shown.index('id="results"') : shown.index("</ol>")]
    assert "document.title='owned'" in unescape(results)
    assert "<title>GreenLang search</title>" in shown
    assert "<script" not in results
    assert "<img" not in results
    assert "<b>" not in results


def test_a_failure_is_said_in_words(
    browse: Browse, open_page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(SearchEngine, "search", fail)
    shown = browse(address(open_page, "zinc"))
    assert "The database does not answer at the moment." in shown
    assert not re.search(r'id="problem"[^>]* hidden', shown)


def test_with_authentication_it_asks_for_a_key(browse: Browse, live: str) -> None:
    shown = browse(live)
    assert re.search(r'id="search-form"[^>]* hidden', shown)
    assert not re.search(r'id="key-form"[^>]* hidden', shown)


def test_the_page_needs_nothing_from_elsewhere(service: TestClient) -> None:
    for name in ("", "page.js", "page.css", "icon.svg"):
        answered = service.get(f"/{name}")
        assert answered.status_code == 200
        for link in re.findall(r"https?://[^\s\"')]+", answered.text):
            assert link.startswith("http://www.w3.org/"), link
