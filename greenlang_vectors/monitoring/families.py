"""Rows of a query as the metrics that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.metrics_core import UnknownMetricFamily

Rows = Iterable[Sequence[Any]]
"""Values of the labels, then the value; a row whose value is None is left out."""


def gauge(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    """A value that rises and falls."""
    return _filled(GaugeMetricFamily(name, text, labels=labels), rows)


def counter(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    """A number that only rises; its name ends in `_total`."""
    return _filled(CounterMetricFamily(name, text, labels=labels), rows)


def named_counter(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    """The same under a name that PRD 11.1 gives it.

    Counters of OpenMetrics end in `_total`; one that does not is of no known type there, which
    changes nothing for `rate`.
    """
    return _filled(UnknownMetricFamily(name, text, labels=labels), rows)


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily | UnknownMetricFamily, rows: Rows
) -> Metric:
    for *labels, value in rows:
        if value is not None:
            family.add_metric([str(label) for label in labels], float(value))
    return family
