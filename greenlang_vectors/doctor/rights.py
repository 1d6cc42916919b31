"""Who may do what (PRD 10.3): the roles there should be, who owns tables, row-level security."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from greenlang_vectors.doctor.findings import Finding, Subject, judged, listed
from greenlang_vectors.store.connections import is_superuser
from greenlang_vectors.store.roles import ADMIN

SOURCE = "PRD 10.3"
GROUPS = (
    ADMIN,
    "vector_reader",
    "vector_writer",
    "vector_tenant_reader",
    "vector_tenant_writer",
)
MIGRATE = "Run `greenlang-vectors schema upgrade` as the owner of the database"


def login(subject: Subject) -> Iterator[Finding]:
    """As whom this deployment connects."""
    user = subject.connection.info.user
    yield judged(
        "roles",
        "login",
        subject.severe,
        f"{user}, a superuser" if is_superuser(subject.connection) else user,
        well=not is_superuser(subject.connection),
        expected="no superuser, whom no access rule binds",
        source=SOURCE,
        remedy="Make a login with `greenlang-vectors roles create LOGIN --role admin`, and name it"
        " in GREENLANG_DATABASE_URL.",
    )


_MISSING_ROLES: LiteralString = """
    SELECT wanted FROM (
        SELECT unnest(%s::text[]) AS wanted
        UNION ALL
        SELECT kind || name FROM namespaces
        CROSS JOIN unnest(ARRAY['vector_reader_', 'vector_writer_']) AS kind) roles
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
    ORDER BY wanted
"""

_UNBOUND: LiteralString = """
    SELECT DISTINCT login.rolname FROM pg_auth_members
    JOIN pg_roles login ON login.oid = member
    JOIN pg_roles granted ON granted.oid = roleid
    WHERE granted.rolname LIKE 'vector\\_%%' AND login.rolcanlogin
      AND (login.rolsuper OR login.rolbypassrls)
    ORDER BY login.rolname
"""


def groups(subject: Subject) -> Iterator[Finding]:
    """The groups that rights are given to, and members whom row-level security does not bind."""
    missing = [row[0] for row in subject.connection.execute(_MISSING_ROLES, [list(GROUPS)])]
    yield judged(
        "roles",
        "groups",
        "error",
        listed(missing, before="missing: ", none="all there"),
        well=not missing,
        expected=f"{', '.join(GROUPS)}, and two of each namespace",
        source=SOURCE,
        remedy=f"{MIGRATE}, or as {ADMIN}: SELECT secure_schema().",
    )
    unbound = [row[0] for row in subject.connection.execute(_UNBOUND)]
    yield judged(
        "roles",
        "logins above row-level security",
        subject.severe,
        listed(unbound),
        well=not unbound,
        expected="none",
        source=SOURCE,
        remedy="ALTER ROLE … NOSUPERUSER NOBYPASSRLS.",
    )


_TABLES: LiteralString = """
    SELECT c.relname, pg_get_userbyid(c.relowner), c.relrowsecurity,
           EXISTS (SELECT FROM aclexplode(c.relacl) WHERE grantee = 0)
    FROM namespaced_tables() AS root
    CROSS JOIN LATERAL pg_partition_tree(root) part
    JOIN pg_class c ON c.oid = part.relid
    UNION ALL
    SELECT c.relname, pg_get_userbyid(c.relowner), c.relrowsecurity,
           EXISTS (SELECT FROM aclexplode(c.relacl) WHERE grantee = 0)
    FROM namespaced_tables() AS root JOIN pg_class c ON c.oid = root WHERE c.relkind = 'r'
"""

_MISSING_POLICIES: LiteralString = """
    SELECT root || ' (' || name || ')' FROM namespaces CROSS JOIN namespaced_tables() AS root
    WHERE NOT EXISTS (
        SELECT FROM pg_policy WHERE polrelid = root AND polname = 'read_' || name)
    ORDER BY 1
"""

_RIGHTS: LiteralString = """
    SELECT role || ' may not ' || wanted || ' ' || target
    FROM (VALUES ('vector_reader', 'SELECT', 'vector_embeddings'),
                 ('vector_reader', 'SELECT', 'embedding_collections'),
                 ('vector_writer', 'INSERT', 'vector_embeddings'),
                 ('vector_writer', 'UPDATE', 'vector_embeddings'),
                 ('vector_writer', 'INSERT', 'embedding_jobs')) AS rights (role, wanted, target)
    WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = role)
      AND NOT has_table_privilege(role, target, wanted)
"""


def tables(subject: Subject) -> Iterator[Finding]:
    """Owners, row-level security and grants of every table whose rows belong to namespaces."""
    found = subject.connection.execute(_TABLES).fetchall()
    foreign = sorted({name for name, owner, _, _ in found if owner != ADMIN})
    yield judged(
        "roles",
        "owner of the tables",
        "error",
        listed(foreign, none=ADMIN),
        well=not foreign,
        expected=ADMIN,
        source=SOURCE,
        remedy=f"ALTER TABLE … OWNER TO {ADMIN}, as their owner.",
    )
    open_to_all = sorted({name for name, _, secured, _ in found if not secured})
    open_to_all += [row[0] for row in subject.connection.execute(_MISSING_POLICIES)]
    yield judged(
        "roles",
        "row-level security",
        "error",
        listed(open_to_all, before="lacking: ", none="on every table and partition"),
        well=not open_to_all,
        expected="a policy of each namespace on every table and partition",
        source=SOURCE,
        remedy=f"As {ADMIN}: ALTER TABLE … ENABLE ROW LEVEL SECURITY, then SELECT secure_schema().",
    )
    lacking = [row[0] for row in subject.connection.execute(_RIGHTS)]
    yield judged(
        "roles",
        "grants",
        "error",
        listed(lacking, none="as they should be"),
        well=not lacking,
        source=SOURCE,
        remedy=f"As {ADMIN}: SELECT secure_schema().",
    )
    public = sorted({name for name, _, _, granted in found if granted})
    row = subject.connection.execute(
        "SELECT EXISTS (SELECT FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'public'"
        " AND grantee = 0 AND privilege_type = 'CREATE')"
    ).fetchone()
    if row == (True,):
        public.append("CREATE in schema public")
    yield judged(
        "roles",
        "grants to PUBLIC",
        "error",
        listed(public),
        well=not public,
        expected="none",
        source=SOURCE,
        remedy="REVOKE ALL ON … FROM PUBLIC, as its owner.",
    )
