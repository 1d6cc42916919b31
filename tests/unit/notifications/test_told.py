"""The same failure is told once in a while; its end is waited for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from greenlang_vectors.notifications import told as module
from greenlang_vectors.notifications.message import Notification
from greenlang_vectors.notifications.told import FORGOTTEN_AFTER, Told

HOUR = timedelta(hours=1)


def later(notification: Notification, hours: float) -> Notification:
    return replace(notification, at=notification.at + hours * HOUR)


def test_the_same_failure_is_news_again_after_a_while(failure: Notification) -> None:
    told = Told()
    assert told.is_news(failure, HOUR)
    told.remember(failure)
    told = Told.from_json(told.as_json())
    assert not told.is_news(later(failure, 0.9), HOUR)
    assert told.is_news(later(failure, 1), HOUR)


def test_numbers_make_no_difference_and_everything_else_does(failure: Notification) -> None:
    told = Told()
    told.remember(replace(failure, cause="Lost after 12 s, process 81."))
    assert not told.is_news(replace(failure, cause="Lost after 7 s, process 4."), HOUR)
    for other in (
        replace(failure, cause="Found after 12 s, process 81."),
        replace(failure, cause="Lost after 12 s, process 81.", namespace="cbam"),
        replace(failure, cause="Lost after 12 s, process 81.", stage="chunks"),
    ):
        assert told.is_news(other, HOUR)


def test_the_end_of_a_job_ends_all_its_failures_in_the_namespace(failure: Notification) -> None:
    told = Told()
    elsewhere = replace(failure, namespace="cbam")
    for each in (failure, later(replace(failure, stage="chunks"), 1), elsewhere):
        told.remember(each)
    newest, other = sorted(told.open_failures(), key=lambda each: each.at, reverse=True)
    assert (newest.namespace, newest.stage, other.namespace) == ("csrd", "chunks", "cbam")
    told.forget(newest)
    assert told.open_failures() == [other]
    assert told.is_news(failure, HOUR)


def test_what_is_remembered_is_bounded(failure: Notification) -> None:
    told = Told()
    told.remember(failure)
    told.remember(later(replace(failure, namespace="cbam"), FORGOTTEN_AFTER / HOUR + 1))
    assert [each.namespace for each in told.open_failures()] == ["cbam"]
    for number in range(module.MOST + 5):
        told.remember(replace(failure, stage="s" + "x" * number))
    assert len(told.failures) == module.MOST


def test_a_cursor_of_another_kind_is_begun_anew() -> None:
    for text in (None, "", "no json", "[]", '{"failures": {"x": {"other": 1}}}'):
        assert Told.from_json(text) == Told()
