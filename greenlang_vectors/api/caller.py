"""Who calls, and what he may do where."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from greenlang_vectors.store.api_keys import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """The bearer of a credential.

    Attributes:
        id: tells callers apart for rate limits and the log; no secret.
        namespaces: where he may act; None for every namespace.
        scopes: what he may do there.
    """

    id: str
    namespaces: frozenset[str] | None
    scopes: frozenset[Scope]

    def may(self, scope: Scope, namespace: str | None = None) -> bool:
        """Whether he has this scope, and in this namespace if one is given."""
        permitted = scope in self.scopes or "admin" in self.scopes
        reached = namespace is None or self.namespaces is None or namespace in self.namespaces
        return permitted and reached

    def require(self, scope: Scope, namespace: str | None = None) -> None:
        """Refuse what he may not do; alike for namespaces that exist and that do not.

        Raises:
            HTTPException: 403.
        """
        if not self.may(scope, namespace):
            where = "" if namespace is None else " in this namespace"
            raise HTTPException(HTTPStatus.FORBIDDEN, f"This key may not {scope}{where}.")


EVERYONE = Caller("everyone", None, frozenset({"admin"}))
"""Who calls a service without authentication."""


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


Calling = Annotated[Caller, Depends(_caller)]
"""The caller, as an endpoint takes him."""
