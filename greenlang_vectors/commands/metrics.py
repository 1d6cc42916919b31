"""`metrics serve`: what Prometheus reads of the database, for as long as it is told to."""

from __future__ import annotations

import signal
import sys

import click
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from greenlang_vectors.commands.common import cannot_listen, errors
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store.database import open_database

CONNECT_SECONDS = 3
"""Shorter than elsewhere: whoever scrapes waits for 10 s by default."""


@click.group("metrics")
def metrics_group() -> None:
    """What Prometheus reads."""


@metrics_group.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=9188, show_default=True, type=click.IntRange(0, 65535))
def serve_metrics(host: str, port: int) -> None:
    """Serve metrics of the database at /metrics, until SIGTERM or Ctrl-C.

    Each scrape reads statistics and small tables, never embeddings. While the database is down,
    greenlang_vectors_up says so.
    """
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415

    from greenlang_vectors.monitoring.exporter import Exporter  # noqa: PLC0415

    settings = _impatient(get_settings())
    exporter = Exporter(lambda: open_database(settings))
    registry = CollectorRegistry()
    registry.register(exporter)
    try:
        server, thread = start_http_server(port, host, registry)
    except (OSError, UnicodeError) as error:
        raise cannot_listen(host, port, error) from error
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    shown = f"[{host}]" if ":" in host else host
    errors.print(
        f"Serving http://{shown}:{server.server_port}/metrics", highlight=False, soft_wrap=True
    )
    try:
        thread.join()
    finally:
        exporter.close()


def _impatient(settings: Settings) -> Settings:
    """The same, a connection to the database given up after CONNECT_SECONDS."""
    if settings.database_url is None:
        return settings
    url = settings.database_url.get_secret_value()
    if "connect_timeout" in conninfo_to_dict(url):
        return settings
    patient = make_conninfo(url, connect_timeout=CONNECT_SECONDS)
    return settings.model_copy(update={"database_url": SecretStr(patient)})
