-- A load names its leaf, whose bounds say of which namespace and model its rows are: the trigger
-- need not group them, nor read so far into each.

CREATE FUNCTION audit_vector_holds_only(target regclass, namespace text, model text)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pg_inherits
        JOIN pg_class leaf ON leaf.oid = inhrelid
        JOIN pg_class parent ON parent.oid = inhparent
        WHERE leaf.oid = target AND leaf.relkind = 'r'
          AND pg_get_expr(leaf.relpartbound, leaf.oid) = format('FOR VALUES IN (%L)', model)
          AND pg_get_expr(parent.relpartbound, parent.oid)
              = format('FOR VALUES IN (%L)', namespace))
$$;
COMMENT ON FUNCTION audit_vector_holds_only IS
    'whether it is a leaf that admits rows of this namespace and model alone';

CREATE OR REPLACE FUNCTION audit_vector_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT namespace, embedding_model INTO first FROM new_rows LIMIT 1;
        IF (SELECT count(*) FROM new_rows) <= 10000
            AND public.audit_vector_holds_only(TG_RELID, first.namespace, first.embedding_model)
        THEN
            INSERT INTO public.vector_audit_log (operation, table_name, namespace, embedding_model,
                record_ids, new_hashes)
            SELECT TG_OP, TG_TABLE_NAME, first.namespace, first.embedding_model,
                   array_agg(id), array_agg(content_hash::text)
            FROM new_rows;
        ELSE
            INSERT INTO public.vector_audit_log (operation, table_name, namespace, embedding_model,
                record_ids, new_hashes)
            SELECT TG_OP, TG_TABLE_NAME, namespace, embedding_model, array_agg(id), array_agg(hash)
            FROM (SELECT namespace, embedding_model, id, content_hash::text AS hash,
                         (row_number() OVER () - 1) / 10000 AS slice
                  FROM new_rows) AS added
            GROUP BY namespace, embedding_model, slice ORDER BY slice;
        END IF;
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

SELECT secure_schema();
