"""Expressions that several pages need."""

from __future__ import annotations

QUANTILE = (
    "histogram_quantile({q}, sum by ({by}) (rate(pgvector_search_latency_ms_bucket{where}[5m])))"
)


def latency(q: float, by: str = "le", where: str = "") -> str:
    """A quantile of the latency of searches, milliseconds.

    PRD 11.2 takes it of each series by itself; that of all searches is what one waits for.
    """
    return QUANTILE.format(q=q, by=by, where=where)
