"""The page at `/`: a question, its passages, their sources. It uses the API like anybody else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parent.parent / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/")
async def index() -> Response:
    """The page."""
    return _file("index.html", "text/html; charset=utf-8")


@router.get("/page.js")
async def script() -> Response:
    """What moves on it."""
    return _file("page.js", "text/javascript; charset=utf-8")


@router.get("/page.css")
async def style() -> Response:
    """How it looks."""
    return _file("page.css", "text/css; charset=utf-8")


@router.get("/icon.svg")
async def icon() -> Response:
    """What its tab shows."""
    return _file("icon.svg", "image/svg+xml")


def _file(name: str, media_type: str) -> Response:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return Response(_read(name), headers=headers, media_type=media_type)


@cache
def _read(name: str) -> bytes:
    return (FOLDER / name).read_bytes()
