"""Errors of the library as Dagster gets them: tried again, given up, or passed on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dagster as dg
import psycopg
import pytest

from assets.stage import MAX_RETRIES, explained
from greenlang_vectors.errors import DatabaseUnavailable, ModelUnavailable, UnknownNamespace


def attempt(number: int) -> Any:  # noqa: ANN401
    return SimpleNamespace(retry_number=number)


@pytest.mark.parametrize("error", [psycopg.OperationalError("lost"), DatabaseUnavailable("down")])
def test_what_passes_is_tried_again_after_ever_longer_waits(error: Exception) -> None:
    waits = []
    for number in range(MAX_RETRIES):
        with pytest.raises(dg.RetryRequested) as caught, explained(attempt(number)):
            raise error
        waits.append(caught.value.seconds_to_wait)
    assert waits == [2, 4, 8]
    with pytest.raises(dg.Failure) as given_up, explained(attempt(MAX_RETRIES)):
        raise error
    assert not given_up.value.allow_retries


@pytest.mark.parametrize("error", [ModelUnavailable, UnknownNamespace])
def test_what_cannot_succeed_is_given_up_with_what_helps(
    error: type[ModelUnavailable | UnknownNamespace],
) -> None:
    with pytest.raises(dg.Failure) as caught, explained(attempt(0)):
        raise error("It is\nnot there.", "Look elsewhere.")
    assert caught.value.description == "It is not there. Look elsewhere."
    assert caught.value.metadata["what_helps"].value == "Look elsewhere."
    assert not caught.value.allow_retries


def test_a_defect_keeps_its_own_error() -> None:
    with pytest.raises(KeyError), explained(attempt(0)):
        raise KeyError("oops")
