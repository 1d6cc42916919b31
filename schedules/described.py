"""Sensors and schedules whose description in the UI is what their function says of itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Definition = TypeVar("Definition")


def described(
    decorator: Callable[..., Callable[[Callable[..., Any]], Definition]], **options: object
) -> Callable[[Callable[..., Any]], Definition]:
    """`dg.sensor` or `dg.schedule` with these options; Dagster itself leaves the docstring out."""

    def of(function: Callable[..., Any]) -> Definition:
        return decorator(description=inspect.getdoc(function), **options)(function)

    return of
