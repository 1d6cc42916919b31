"""Aurora's IAM authentication: a signed token in place of a password."""

from __future__ import annotations

from collections.abc import Callable

from greenlang_vectors import aws
from greenlang_vectors.errors import DatabaseUnavailable, said

TokenSource = Callable[[str, str, str], str]
"""Host, port and user in; the password of one new connection out."""

REFUSED = (
    "Grant the role rds_iam and the process's AWS identity rds-db:connect for it, and set the"
    " machine's clock right: a token is good for 15 minutes."
)
"""What to do where a server does not take a token."""


def iam_tokens(region: str) -> TokenSource:
    """Tokens of the AWS credentials that boto3 finds, signed anew at each call.

    A token lets a connection in for 15 minutes; one that is open goes on after that.
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.html

    Raises:
        DatabaseUnavailable: boto3 is missing; later, of a token, no credentials are found.
    """
    client = aws.client("rds", region, raising=DatabaseUnavailable)

    def token(host: str, port: str, user: str) -> str:
        try:
            return str(
                client.generate_db_auth_token(
                    DBHostname=host, Port=int(port), DBUsername=user, Region=region
                )
            )
        except aws.failures() as error:
            raise DatabaseUnavailable(
                f"AWS gives no token for {user!r} at {host}: {said(error)}.",
                "Give the process credentials with rds-db:connect.",
            ) from error

    return token
