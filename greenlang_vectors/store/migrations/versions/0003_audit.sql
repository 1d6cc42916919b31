-- The audit log of embeddings (PRD 10.4): who changed which when, never a vector or a text.
--
-- PRD 10.4 fires a trigger for every row and writes the row as JSON; a bulk load cannot carry
-- that. Here a statement leaves one row for each namespace, model and 10,000 embeddings, its
-- arrays side by side. An insert leaves ids and hashes only: its metadata stands in the row until
-- an update or a deletion records it, so no value is lost that was ever stored.
-- A namespace's records outlive the namespace: no foreign key, no partition that could be dropped.

CREATE TABLE vector_audit_log (
    namespace varchar(40) NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by name NOT NULL DEFAULT session_user,
    acting_as name NOT NULL DEFAULT coalesce(nullif(current_setting('role'), 'none'), session_user),
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    operation varchar(8) NOT NULL
        CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'DROP')),
    table_name name NOT NULL,
    embedding_model varchar(100) NOT NULL,
    record_ids uuid[] STORAGE EXTERNAL NOT NULL,
    old_hashes text[] STORAGE EXTERNAL,
    new_hashes text[] STORAGE EXTERNAL,
    old_metadata jsonb[],
    new_metadata jsonb[],
    PRIMARY KEY (namespace, id)
);
COMMENT ON COLUMN vector_audit_log.changed_by IS 'who was logged in';
COMMENT ON COLUMN vector_audit_log.acting_as IS 'the role in force (SET ROLE)';
COMMENT ON COLUMN vector_audit_log.table_name IS 'the table the statement named';
COMMENT ON COLUMN vector_audit_log.old_metadata IS
    'of updates that changed it and of removals; NULL where it was empty';

CREATE FUNCTION audit_vector_removal(leaf regclass, operation text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO public.vector_audit_log (operation, table_name, namespace, embedding_model,
             record_ids, old_hashes, old_metadata)
         SELECT $1, $2, namespace, embedding_model,
             array_agg(id), array_agg(hash), array_agg(metadata)
         FROM (SELECT namespace, embedding_model, id, content_hash::text AS hash,
                      nullif(metadata, ''{}'') AS metadata,
                      (row_number() OVER () - 1) / 10000 AS slice
               FROM %s) AS gone
         GROUP BY namespace, embedding_model, slice ORDER BY slice', leaf)
    USING operation, (SELECT relname FROM pg_class WHERE oid = leaf);
END $$;
COMMENT ON FUNCTION audit_vector_removal IS 'records every row of a leaf as removed';

CREATE FUNCTION audit_vector_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public.vector_audit_log (operation, table_name, namespace, embedding_model,
            record_ids, new_hashes)
        SELECT TG_OP, TG_TABLE_NAME, namespace, embedding_model, array_agg(id), array_agg(hash)
        FROM (SELECT namespace, embedding_model, id, content_hash::text AS hash,
                     (row_number() OVER () - 1) / 10000 AS slice
              FROM new_rows) AS added
        GROUP BY namespace, embedding_model, slice ORDER BY slice;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO public.vector_audit_log (operation, table_name, namespace, embedding_model,
            record_ids, old_hashes, new_hashes, old_metadata, new_metadata)
        SELECT TG_OP, TG_TABLE_NAME, namespace, embedding_model, array_agg(id),
               array_agg(old_hash), array_agg(new_hash),
               array_agg(CASE WHEN other THEN nullif(old_metadata, '{}') END),
               array_agg(CASE WHEN other THEN nullif(new_metadata, '{}') END)
        FROM (SELECT namespace, embedding_model, id,
                     o.content_hash::text AS old_hash, n.content_hash::text AS new_hash,
                     o.metadata AS old_metadata, n.metadata AS new_metadata,
                     o.metadata IS DISTINCT FROM n.metadata AS other,
                     (row_number() OVER () - 1) / 10000 AS slice
              FROM old_rows o FULL JOIN new_rows n USING (namespace, embedding_model, id)
             ) AS changed
        GROUP BY namespace, embedding_model, slice ORDER BY slice;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO public.vector_audit_log (operation, table_name, namespace, embedding_model,
            record_ids, old_hashes, old_metadata)
        SELECT TG_OP, TG_TABLE_NAME, namespace, embedding_model,
               array_agg(id), array_agg(hash), array_agg(metadata)
        FROM (SELECT namespace, embedding_model, id, content_hash::text AS hash,
                     nullif(metadata, '{}') AS metadata,
                     (row_number() OVER () - 1) / 10000 AS slice
              FROM old_rows) AS gone
        GROUP BY namespace, embedding_model, slice ORDER BY slice;
    ELSE
        PERFORM public.audit_vector_removal(TG_RELID, TG_OP);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION audit_vector_drop(relation regclass) RETURNS void LANGUAGE plpgsql STRICT AS $$
DECLARE
    leaf regclass;
BEGIN
    FOR leaf IN SELECT relid FROM pg_partition_tree(relation) WHERE isleaf LOOP
        EXECUTE (SELECT format('LOCK TABLE ONLY %s IN EXCLUSIVE MODE', inhparent::regclass)
                 FROM pg_inherits WHERE inhrelid = leaf);
        EXECUTE format('LOCK TABLE ONLY %s IN EXCLUSIVE MODE', leaf);
        PERFORM audit_vector_removal(leaf, 'DROP');
    END LOOP;
END $$;
COMMENT ON FUNCTION audit_vector_drop IS
    'before a leaf or a namespace is dropped, in the same transaction; searches go on meanwhile';

CREATE FUNCTION audit_vector_table(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    event text;
    rows_seen text;
BEGIN
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgname = 'audit_insert') THEN
        RETURN;
    END IF;
    FOR event, rows_seen IN VALUES
        ('insert', 'NEW TABLE AS new_rows'),
        ('update', 'OLD TABLE AS old_rows NEW TABLE AS new_rows'),
        ('delete', 'OLD TABLE AS old_rows')
    LOOP
        EXECUTE format(
            'CREATE TRIGGER audit_%s AFTER %1$s ON %s REFERENCING %s
             FOR EACH STATEMENT EXECUTE FUNCTION audit_vector_changes()',
            event, relation, rows_seen);
    END LOOP;
    IF (SELECT relkind = 'r' FROM pg_class WHERE oid = relation) THEN
        EXECUTE format('CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON %s
                        FOR EACH STATEMENT EXECUTE FUNCTION audit_vector_changes()', relation);
    END IF;
END $$;
COMMENT ON FUNCTION audit_vector_table IS
    'a statement fires only the triggers of the table it names, so every level carries them;
     TRUNCATE fires those of every leaf';

SELECT audit_vector_table(relid) FROM pg_partition_tree('vector_embeddings');
