"""What the server refuses, with the status that each of its two interfaces answers."""

from __future__ import annotations

import grpc


class Refused(Exception):
    """A request that the server refuses.

    Args:
        message: as a Weaviate server words it.
        status: the HTTP status.
        code: the gRPC status; a server leaves most of its errors UNKNOWN.
    """

    def __init__(
        self, message: str, status: int = 422, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def not_answered(what: str) -> Refused:
    """Refuse what this stand-in leaves out."""
    return Refused(f"{what} is not answered by this stand-in", 501, grpc.StatusCode.UNIMPLEMENTED)


def unknown_collection(name: str) -> Refused:
    """Refuse a request about a collection that does not exist."""
    return Refused(f"could not find class {name} in schema", 404)
