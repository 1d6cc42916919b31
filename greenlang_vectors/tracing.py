"""Spans of OpenTelemetry around searches and embedding; they go nowhere unless set up.

Set up with OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT` and the like) and the extra
`tracing`. FastAPI makes the spans of requests. A span of ours names namespaces, models, modes and
counts, and the class of an error: never what was asked, found or embedded, and no message of an
error, which may quote it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, StatusCode

logger = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SERVICE = "greenlang-vectors"

_tracer = trace.get_tracer("greenlang_vectors")


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[Span]:
    """A span around the body, below the one that is under way."""
    with _tracer.start_as_current_span(
        name,
        attributes={f"greenlang.{key}": value for key, value in attributes.items()},
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_status(StatusCode.ERROR)
            current.set_attribute("error.type", type(error).__name__)
            raise


def configure() -> bool:
    """Send spans where OpenTelemetry's variables say.

    Returns:
        Whether they are sent: not if the variables say nothing, or the extra is not installed.
    """
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return False
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        logger.warning("No traces are sent: install greenlang-vectors[tracing] (%s).", error)
        return False
    name = os.environ.get("OTEL_SERVICE_NAME", SERVICE)
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True
