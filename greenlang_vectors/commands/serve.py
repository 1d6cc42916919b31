"""`serve`: the HTTP API and its page, until it is told to stop."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import sys
from contextlib import suppress

import click

from greenlang_vectors import tracing
from greenlang_vectors.commands.common import cannot_listen, errors
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store.database import open_database

BACKLOG = 2048
IDLE_SECONDS = 75
"""How long a connection may be silent; longer than the 60 s of common load balancers."""


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--no-auth", is_flag=True, help="Ask for no credential; on an address of this machine alone."
)
def serve(host: str, port: int, no_auth: bool) -> None:
    """Serve the HTTP API, and a page to search with at /.

    Stops at SIGTERM and Ctrl-C once the requests that run have been answered.
    """
    import uvicorn  # noqa: PLC0415 - with FastAPI, too slow for every other command

    from greenlang_vectors.api.app import check_credentials, create_app, warm  # noqa: PLC0415

    if no_auth and not _is_loopback(host):
        raise UsageError(
            f"Without authentication the API is not served on {host}.",
            "Leave --host out, or create a key: greenlang-vectors api-keys create.",
        )
    # uvicorn raises the signal again once it has stopped: a stop as asked is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = get_settings()
    tracing.configure()
    listening = _listen(host, port)
    with listening:
        database = open_database(settings)
        try:
            if not no_auth:
                check_credentials(database, settings)
            app = create_app(database, settings, authentication=not no_auth)
            _log_requests()
            warm(app.state.parts.embedders)
            address, bound = listening.getsockname()[:2]
            errors.print(
                f"Serving http://{f'[{address}]' if ':' in address else address}:{bound}",
                highlight=False,
                soft_wrap=True,
            )
            server = uvicorn.Server(
                uvicorn.Config(
                    app,
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    timeout_keep_alive=IDLE_SECONDS,
                    timeout_graceful_shutdown=settings.api_shutdown_seconds,
                )
            )
            server.run(sockets=[listening])
        finally:
            database.close()


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens, before anything slow begins.

    Raises:
        UsageError: the address is taken or is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        raise cannot_listen(host, port, error) from error


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _log_requests() -> None:
    """One line a request on standard error, and what uvicorn has to say of errors."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name, level in (("greenlang_vectors.api", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.addHandler(handler)
        logger.propagate = False
