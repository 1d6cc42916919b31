-- Roles and row-level security (PRD 10.3; who may do what: store/roles.py). PostgreSQL 16 or newer.
--
-- vector_admin owns every table, and owners stand above row-level security. All others see rows
-- by policy: vector_reader and vector_writer of every namespace, vector_reader_<namespace> and
-- vector_writer_<namespace> of one. A policy says which rows, a grant says what may be done.
-- Grants on the parent tables go to vector_tenant_reader and vector_tenant_writer, which every
-- role of one namespace belongs to: an access list has room for some 250 namespaces at most.
--
-- Roles belong to the server, not to one of its databases, and several databases may be migrated
-- at once: whatever makes a role must bear with another having been faster.

CREATE FUNCTION ensure_group(role name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$;

CREATE FUNCTION ensure_membership(role name, member name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_auth_members
                   WHERE roleid = quote_ident($1)::regrole
                     AND pg_auth_members.member = quote_ident($2)::regrole
                     AND inherit_option) THEN
        EXECUTE format('GRANT %I TO %I', $1, $2);
    END IF;
EXCEPTION WHEN unique_violation THEN
    NULL;
END $$;

CREATE FUNCTION writer_rights(target regclass) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN relname IN ('document_chunks', 'vector_embeddings', 'dead_letters')
            THEN 'INSERT, UPDATE, DELETE'
        WHEN relname IN ('documents', 'embedding_jobs') THEN 'INSERT, UPDATE'
    END
    FROM pg_class WHERE oid = coalesce(pg_partition_root(target), target)
$$;
COMMENT ON FUNCTION writer_rights IS
    'what a writer may do beside reading; NULL for nothing. Replaced chunks leave by DELETE';

CREATE FUNCTION namespace_column(target regclass) RETURNS name LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN relname = 'namespaces' THEN 'name' ELSE 'namespace' END::name
    FROM pg_class WHERE oid = target
$$;

CREATE FUNCTION namespaced_tables() RETURNS SETOF regclass LANGUAGE sql STABLE AS $$
    SELECT c.oid::regclass
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND NOT c.relispartition
      AND a.attname = CASE c.relname WHEN 'namespaces' THEN 'name' ELSE 'namespace' END
    ORDER BY c.relname
$$;
COMMENT ON FUNCTION namespaced_tables IS 'every table whose rows belong to namespaces';

CREATE FUNCTION allow(target regclass, policy name, command text, roles text, condition text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = target AND polname = policy) THEN
        EXECUTE format('CREATE POLICY %I ON %s FOR %s TO %s USING (%s)',
                       policy, target, command, roles, condition);
    END IF;
END $$;

CREATE FUNCTION secure_table(target regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    rights text := writer_rights(target);
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('GRANT SELECT ON %s TO vector_reader, vector_tenant_reader', target);
    PERFORM allow(target, 'read', 'SELECT', 'vector_reader', 'true');
    IF rights IS NOT NULL THEN
        EXECUTE format('GRANT %s ON %s TO vector_writer, vector_tenant_writer', rights, target);
        PERFORM allow(target, 'write', 'ALL', 'vector_writer', 'true');
    END IF;
END $$;

CREATE FUNCTION secure_leaf(target regclass, namespace text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    rights text := writer_rights(target);
    readers text := format('vector_reader, %I', 'vector_reader_' || namespace);
    writers text := format('vector_writer, %I', 'vector_writer_' || namespace);
BEGIN
    IF (SELECT relrowsecurity FROM pg_class WHERE oid = target) THEN
        RETURN;
    END IF;
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('GRANT SELECT ON %s TO %s', target, readers);
    PERFORM allow(target, 'read', 'SELECT', readers, 'true');
    IF rights IS NOT NULL THEN
        EXECUTE format('GRANT %s ON %s TO %s', rights, target, writers);
        PERFORM allow(target, 'write', 'ALL', writers, 'true');
    END IF;
END $$;
COMMENT ON FUNCTION secure_leaf IS 'of a partition, or of a partition of a partition';

CREATE FUNCTION secure_namespace(namespace text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    reader name := 'vector_reader_' || namespace;
    writer name := 'vector_writer_' || namespace;
    target regclass;
    own text;
BEGIN
    PERFORM ensure_group(reader), ensure_group(writer);
    PERFORM ensure_membership(reader, writer),
            ensure_membership('vector_tenant_reader', reader),
            ensure_membership('vector_tenant_writer', writer);
    FOR target IN SELECT namespaced_tables() LOOP
        own := format('%I = %L', namespace_column(target), namespace);
        PERFORM allow(target, 'read_' || namespace, 'SELECT', quote_ident(reader), own);
        IF writer_rights(target) IS NOT NULL THEN
            PERFORM allow(target, 'write_' || namespace, 'ALL', quote_ident(writer), own);
        END IF;
        PERFORM secure_leaf(part.relid, namespace)
        FROM pg_inherits child
        JOIN pg_class c ON c.oid = child.inhrelid
        CROSS JOIN LATERAL pg_partition_tree(c.oid) part
        WHERE child.inhparent = target AND NOT c.relrowsecurity
          AND pg_get_expr(c.relpartbound, c.oid) = format('FOR VALUES IN (%L)', namespace);
    END LOOP;
END $$;
COMMENT ON FUNCTION secure_namespace IS
    'roles, policies and grants of one namespace, on the tables it has by now';

CREATE FUNCTION forget_namespace(namespace text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    target regclass;
    role name;
BEGIN
    FOR target IN SELECT namespaced_tables() LOOP
        EXECUTE format('DROP POLICY IF EXISTS %I ON %s', 'read_' || namespace, target);
        EXECUTE format('DROP POLICY IF EXISTS %I ON %s', 'write_' || namespace, target);
    END LOOP;
    FOREACH role IN ARRAY ARRAY['vector_writer_' || namespace, 'vector_reader_' || namespace] LOOP
        BEGIN
            EXECUTE format('DROP ROLE IF EXISTS %I', role);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            NULL;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION forget_namespace IS
    'after its partitions are gone; roles that another database of the server uses stay';

CREATE FUNCTION secure_schema() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    object record;
BEGIN
    FOR object IN
        SELECT CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind, oid::regclass::text AS name
        FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
          AND relowner <> 'vector_admin'::regrole
          AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
        UNION ALL
        SELECT 'ROUTINE', oid::regprocedure::text
        FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proowner <> 'vector_admin'::regrole
          AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO vector_admin', object.kind, object.name);
        IF object.kind = 'ROUTINE' THEN
            EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', object.name);
        END IF;
    END LOOP;
    PERFORM set_config('role', 'vector_admin', true);
    PERFORM secure_table(target) FROM namespaced_tables() AS target;
    PERFORM secure_namespace(name) FROM (SELECT name FROM namespaces ORDER BY name) AS known;
END $$;
COMMENT ON FUNCTION secure_schema IS
    'hand everything to vector_admin and secure it; a migration that adds a table ends with this';

DO $$
DECLARE
    groups name[] := ARRAY['vector_reader', 'vector_writer',
                           'vector_tenant_reader', 'vector_tenant_writer'];
    before text := current_setting('role');
    role name;
BEGIN
    PERFORM ensure_group('vector_admin');
    IF NOT (SELECT rolcreaterole FROM pg_roles WHERE rolname = 'vector_admin') THEN
        ALTER ROLE vector_admin CREATEROLE;
    END IF;
    IF NOT pg_has_role(current_user, 'vector_admin', 'SET') THEN
        EXECUTE format('GRANT vector_admin TO %I', current_user);
    END IF;
    FOREACH role IN ARRAY groups LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = role)
           AND NOT pg_has_role('vector_admin', role, 'MEMBER WITH ADMIN OPTION') THEN
            EXECUTE format('GRANT %I TO vector_admin WITH ADMIN OPTION', role);
        END IF;
    END LOOP;
    PERFORM set_config('role', 'vector_admin', true);
    PERFORM ensure_group(name) FROM unnest(groups) AS name;
    PERFORM ensure_membership('vector_reader', 'vector_writer'),
            ensure_membership('vector_writer', 'vector_admin');
    PERFORM set_config('role', before, true);
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO vector_reader, vector_tenant_reader;
GRANT USAGE, CREATE ON SCHEMA public TO vector_admin;
-- A cache entry tells what another tenant stores, and a forged one would be served to him.
GRANT SELECT ON embedding_cache TO vector_reader;
GRANT INSERT, UPDATE, DELETE ON embedding_cache TO vector_writer;
GRANT SELECT ON alembic_version TO vector_reader, vector_tenant_reader;
SELECT secure_schema();
