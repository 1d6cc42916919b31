"""The prices of `prices.toml`, typed: one dated file, so that a plan says what it goes by."""

from __future__ import annotations

import tomllib
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from greenlang_vectors.settings import ProfileName

HOURS = 730
"""Of a month."""

FILE = Path(__file__).with_name("prices.toml")

Amount = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Instance(_Part):
    """A DB instance class; `hour` is its price with standard storage."""

    vcpu: int
    gib: int
    hour: Amount


class Storage(_Part):
    """What a GB-month and a million requests cost in Aurora's two configurations."""

    standard_gb_month: Amount
    io_million: Amount
    io_optimized_gb_month: Amount
    io_optimized_instances: float


class Serverless(_Part):
    """Aurora Serverless v2."""

    acu_hour: Amount
    gib_per_acu: float


class Rate(_Part):
    """The price of one GB-month."""

    gb_month: Amount


class Transfer(_Part):
    """The price of a GB that goes to another zone or region."""

    between_zones_gb: Amount
    between_regions_gb: Amount


class Compute(_Part):
    """The price of the machines that embed."""

    vcpu_hour: Amount


class Reserved(_Part):
    """The share that a commitment saves on instances."""

    saving: float


class Budget(_Part):
    """PRD 15.1, a month."""

    primary: Amount
    readers: Amount
    backup: Amount
    transfer: Amount
    total: Amount


class KeyResult(_Part):
    """PRD 3.2, a month of any environment."""

    total: Amount


class Prices(_Part):
    """All of the file."""

    dated: date
    currency: str
    region: str
    verified: bool
    sources: dict[str, str]
    storage: Storage
    serverless: Serverless
    backup: Rate
    transfer: Transfer
    s3: Rate
    compute: Compute
    embedding: dict[str, Amount]
    reserved: Reserved
    instances: dict[str, Instance]
    budget: dict[ProfileName, Budget]
    key_result: KeyResult
    alternatives: dict[str, Amount]

    def family(self, name: str) -> dict[str, Instance]:
        """The instance classes of a family such as "r6g", the smallest first."""
        found = {key: each for key, each in self.instances.items() if key.split(".")[1] == name}
        return dict(sorted(found.items(), key=lambda each: each[1].gib))

    def larger_than(self, family: str) -> dict[str, Instance]:
        """The classes of other families that have more memory than any of this one."""
        most = max(each.gib for each in self.family(family).values())
        found = {key: each for key, each in self.instances.items() if each.gib > most}
        return dict(sorted(found.items(), key=lambda each: each[1].gib))

    @property
    def families(self) -> list[str]:
        """The families there are, such as "r6g"."""
        return sorted({key.split(".")[1] for key in self.instances})


@lru_cache(maxsize=1)
def prices() -> Prices:
    """The prices of this version."""
    return Prices.model_validate(tomllib.loads(FILE.read_text("utf-8")))
