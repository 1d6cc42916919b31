-- A load leaves its records without numbering its rows first: half of what the trigger cost.

CREATE OR REPLACE FUNCTION audit_vector_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF (SELECT count(*) FROM new_rows) <= 10000 THEN
            INSERT INTO public.vector_audit_log (operation, table_name, namespace, embedding_model,
                record_ids, new_hashes)
            SELECT TG_OP, TG_TABLE_NAME, namespace, embedding_model,
                   array_agg(id), array_agg(content_hash::text)
            FROM new_rows GROUP BY namespace, embedding_model;
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
