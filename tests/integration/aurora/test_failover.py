"""A failover exercise says who took over and how long it took, and is refused without a reader."""

from __future__ import annotations

from datetime import timedelta

import pytest

from greenlang_vectors.backup.aurora import failover
from greenlang_vectors.backup.aurora.deployment import Deployment
from greenlang_vectors.backup.aurora.errors import NoReader, TookTooLong
from greenlang_vectors.backup.aurora.failover import Failover, fail_over, successor

from .conftest import CLUSTER, READER, WRITER, Aws

pytestmark = pytest.mark.integration


def test_a_reader_takes_over_and_back(aurora: Deployment) -> None:
    done = fail_over(aurora.rds, CLUSTER)
    assert (done.writer_before, done.writer) == (WRITER, READER)
    assert 0 < done.seconds < 5
    assert done.within_rto
    assert fail_over(aurora.rds, CLUSTER, to=WRITER).writer == WRITER


def test_longer_than_five_minutes_is_beyond_the_objective() -> None:
    assert Failover(CLUSTER, WRITER, READER, 300).within_rto
    assert not Failover(CLUSTER, WRITER, READER, 301).within_rto


def test_without_a_reader_that_is_up_it_is_refused_before_the_call(
    aws: Aws, aurora: Deployment
) -> None:
    with pytest.raises(NoReader, match=f"Its readers: {READER}"):
        fail_over(aurora.rds, CLUSTER, to="nobody")
    with pytest.raises(NoReader, match="no reader of"):
        fail_over(aurora.rds, CLUSTER, to=WRITER)
    aws.backend().databases[READER].status = "rebooting"
    with pytest.raises(NoReader, match="no reader that is available"):
        fail_over(aurora.rds, CLUSTER)
    aws.backend().databases.pop(READER)
    with pytest.raises(NoReader, match="no reader that is available"):
        successor(aurora.rds, CLUSTER)
    assert aws.changes == []


def test_a_writer_that_does_not_change_is_no_success(
    aurora: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.rds.models import DBCluster

    monkeypatch.setattr(DBCluster, "failover", lambda *_: None)
    monkeypatch.setattr(failover, "LIMIT", timedelta(0))
    with pytest.raises(TookTooLong, match="new writer"):
        fail_over(aurora.rds, CLUSTER)
