"""What a check is given and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.leaves import Leaf

MAX_EXAMPLES = 20
"""The most offending rows a check hands over."""


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What the checks of one namespace judge.

    Attributes:
        leaf: the namespace's embeddings of the model in use.
        settings: the index profile.
        max_tokens: the most tokens the model reads, special tokens included.
    """

    leaf: Leaf
    settings: Settings
    max_tokens: int

    @property
    def namespace(self) -> str:
        """The namespace that is judged."""
        return self.leaf.namespace


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What a check found.

    Attributes:
        passed: whether all is as it should be.
        message: one sentence with numbers.
        numbers: the same numbers by name, to be plotted over time.
        examples: at most `MAX_EXAMPLES` offending rows, all with the same keys.
    """

    passed: bool
    message: str
    numbers: dict[str, int | float]
    examples: list[dict[str, JSON]]


def judged(
    subject: str,
    fault: str,
    numbers: dict[str, int | float],
    failed: int,
    examples: Sequence[dict[str, JSON]],
) -> CheckOutcome:
    """The outcome of a check that counts offenders; it passes without any.

    Args:
        subject: what was looked at, in the plural and a key of `numbers` ("chunks").
        fault: what is wrong with the offenders ("lack an embedding").
        numbers: how many there are of each kind.
        failed: number of offenders, in all.
        examples: some of them, with the keys `document` and `problem` among others.
    """
    total = numbers[subject]
    if total == 0 and failed == 0:
        message = f"The namespace holds no {subject}."
    elif failed == 0:
        message = f"None of {total} {subject} {fault}."
    else:
        first = examples[0]
        message = (
            f"{failed} of {total} {subject} {fault}, "
            f"the first in {first['document']}: {first['problem']}."
        )
    return CheckOutcome(
        passed=failed == 0,
        message=message,
        numbers={**numbers, "failed": failed},
        examples=list(examples[:MAX_EXAMPLES]),
    )


def merged(outcomes: Mapping[str, CheckOutcome]) -> CheckOutcome:
    """One outcome of several collections: it passes if all do.

    Args:
        outcomes: by model, the serving collection's first; its numbers keep their names.
    """
    serving = next(iter(outcomes))
    spoken = {model: o for model, o in outcomes.items() if not o.passed} or outcomes
    return CheckOutcome(
        passed=all(outcome.passed for outcome in outcomes.values()),
        message=" ".join(f"{model}: {outcome.message}" for model, outcome in spoken.items()),
        numbers={
            name if model == serving else f"{model} {name}": number
            for model, outcome in outcomes.items()
            for name, number in outcome.numbers.items()
        },
        examples=[
            {"model": model, **example}
            for model, outcome in outcomes.items()
            for example in outcome.examples
        ][:MAX_EXAMPLES],
    )
