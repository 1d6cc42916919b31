"""What a verification named."""

from __future__ import annotations

from collections.abc import Callable

from greenlang_vectors.migration.verification import Verification

Check = Callable[..., Verification]


def named(found: Verification) -> dict[str, str]:
    return {str(each.object_id): each.kind for each in found.differences}
