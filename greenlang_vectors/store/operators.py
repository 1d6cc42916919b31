"""pgvector's SQL for each metric and storage: operators, operator classes, casts."""

from __future__ import annotations

from typing import Final

from psycopg import sql

from greenlang_vectors.store.index_settings import IndexSettings, Metric

_OPERATORS: Final[dict[Metric, sql.SQL]] = {
    "cosine": sql.SQL("<=>"),
    "l2": sql.SQL("<->"),
    "inner_product": sql.SQL("<#>"),
}
_OPERATOR_CLASSES: Final[dict[tuple[str, Metric], sql.SQL]] = {
    ("vector", "cosine"): sql.SQL("vector_cosine_ops"),
    ("vector", "l2"): sql.SQL("vector_l2_ops"),
    ("vector", "inner_product"): sql.SQL("vector_ip_ops"),
    ("halfvec", "cosine"): sql.SQL("halfvec_cosine_ops"),
    ("halfvec", "l2"): sql.SQL("halfvec_l2_ops"),
    ("halfvec", "inner_product"): sql.SQL("halfvec_ip_ops"),
    ("bit", "cosine"): sql.SQL("bit_hamming_ops"),
}


def operator_class(index: IndexSettings) -> sql.SQL:
    """The operator class an index is built with."""
    return _OPERATOR_CLASSES[index.storage, index.metric]


def exact_distance(index: IndexSettings, dimensions: int) -> sql.Composed:
    """The distance of `embedding` to the parameter `query`, at full precision."""
    vector = sql.SQL("::vector({})").format(sql.Literal(dimensions))
    return sql.SQL("embedding{} {} %(query)s{}").format(vector, _OPERATORS[index.metric], vector)


def indexed(index: IndexSettings, dimensions: int) -> sql.Composed:
    """The expression over `embedding` that an index holds."""
    return _stored(sql.SQL("embedding"), index, dimensions)


def index_distance(index: IndexSettings, dimensions: int) -> sql.Composed:
    """What an index orders by: the distance of what it holds to the parameter `query`."""
    operator = sql.SQL("<~>") if index.storage == "bit" else _OPERATORS[index.metric]
    return sql.SQL("{} {} {}").format(
        indexed(index, dimensions), operator, _stored(sql.SQL("%(query)s"), index, dimensions)
    )


def _stored(value: sql.SQL, index: IndexSettings, dimensions: int) -> sql.Composed:
    size = sql.Literal(dimensions)
    if index.storage == "bit":
        return sql.SQL("(binary_quantize({}::vector({}))::bit({}))").format(value, size, size)
    kind = sql.SQL("halfvec" if index.storage == "halfvec" else "vector")
    return sql.SQL("({}::{}({}))").format(value, kind, size)
