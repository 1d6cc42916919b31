-- Full text of chunks (PRD 8.1.3; search/fulltext.py): the whole chunk, in its document's language.
--
-- The language is the name of a text search configuration, as text: pg_upgrade refuses columns of
-- type regconfig. NULL where no words are indexed: parents, and all of encrypted namespaces.
-- Documents from before this migration count as English until they are read again.

CREATE FUNCTION words_of(language text, content text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE language
        WHEN 'english' THEN pg_catalog.to_tsvector('pg_catalog.english', content)
        WHEN 'simple' THEN pg_catalog.to_tsvector('pg_catalog.simple', content)
        WHEN 'arabic' THEN pg_catalog.to_tsvector('pg_catalog.arabic', content)
        WHEN 'armenian' THEN pg_catalog.to_tsvector('pg_catalog.armenian', content)
        WHEN 'basque' THEN pg_catalog.to_tsvector('pg_catalog.basque', content)
        WHEN 'catalan' THEN pg_catalog.to_tsvector('pg_catalog.catalan', content)
        WHEN 'danish' THEN pg_catalog.to_tsvector('pg_catalog.danish', content)
        WHEN 'dutch' THEN pg_catalog.to_tsvector('pg_catalog.dutch', content)
        WHEN 'finnish' THEN pg_catalog.to_tsvector('pg_catalog.finnish', content)
        WHEN 'french' THEN pg_catalog.to_tsvector('pg_catalog.french', content)
        WHEN 'german' THEN pg_catalog.to_tsvector('pg_catalog.german', content)
        WHEN 'greek' THEN pg_catalog.to_tsvector('pg_catalog.greek', content)
        WHEN 'hindi' THEN pg_catalog.to_tsvector('pg_catalog.hindi', content)
        WHEN 'hungarian' THEN pg_catalog.to_tsvector('pg_catalog.hungarian', content)
        WHEN 'indonesian' THEN pg_catalog.to_tsvector('pg_catalog.indonesian', content)
        WHEN 'irish' THEN pg_catalog.to_tsvector('pg_catalog.irish', content)
        WHEN 'italian' THEN pg_catalog.to_tsvector('pg_catalog.italian', content)
        WHEN 'lithuanian' THEN pg_catalog.to_tsvector('pg_catalog.lithuanian', content)
        WHEN 'nepali' THEN pg_catalog.to_tsvector('pg_catalog.nepali', content)
        WHEN 'norwegian' THEN pg_catalog.to_tsvector('pg_catalog.norwegian', content)
        WHEN 'portuguese' THEN pg_catalog.to_tsvector('pg_catalog.portuguese', content)
        WHEN 'romanian' THEN pg_catalog.to_tsvector('pg_catalog.romanian', content)
        WHEN 'russian' THEN pg_catalog.to_tsvector('pg_catalog.russian', content)
        WHEN 'serbian' THEN pg_catalog.to_tsvector('pg_catalog.serbian', content)
        WHEN 'spanish' THEN pg_catalog.to_tsvector('pg_catalog.spanish', content)
        WHEN 'swedish' THEN pg_catalog.to_tsvector('pg_catalog.swedish', content)
        WHEN 'tamil' THEN pg_catalog.to_tsvector('pg_catalog.tamil', content)
        WHEN 'turkish' THEN pg_catalog.to_tsvector('pg_catalog.turkish', content)
    END
$$;
COMMENT ON FUNCTION words_of IS
    'one literal configuration for each language, so that it is immutable; NULL for no language';

CREATE FUNCTION chunk_words(language text, content text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT words || array_to_tsvector(ARRAY(
        SELECT lexeme || chr(times)
        FROM unnest(words) CROSS JOIN unnest(ARRAY[2, 3, 5, 8]) AS times
        WHERE cardinality(positions) >= times))
    FROM (SELECT public.words_of(language, content) AS words) made
$$;
COMMENT ON FUNCTION chunk_words IS
    'beside each word that occurs 2, 3, 5 or 8 times the word with that control character after it:'
    ' among the many passages that hold a common word an index finds those that speak of it';

ALTER TABLE documents ADD COLUMN language varchar(20);
COMMENT ON COLUMN documents.language IS
    'text search configuration of its text; NULL in encrypted namespaces';
UPDATE documents SET language = 'english'
WHERE namespace NOT IN (SELECT namespace FROM encrypted_namespaces);
CREATE INDEX documents_language ON documents (language);
CREATE INDEX documents_source_key ON documents (source_key);

ALTER TABLE document_chunks ADD COLUMN language varchar(20);
COMMENT ON COLUMN document_chunks.language IS
    'the language its words are indexed in; NULL where they are not';
UPDATE document_chunks SET language = 'english'
WHERE level = 0 AND namespace NOT IN (SELECT namespace FROM encrypted_namespaces);

-- Ranking reads words, not texts: the words stay in the row, and the text leaves it first.
ALTER TABLE document_chunks ALTER COLUMN content SET STORAGE external;
ALTER TABLE document_chunks ADD COLUMN words tsvector STORAGE main
    GENERATED ALWAYS AS (chunk_words(language, content)) STORED;
CREATE INDEX document_chunks_words ON document_chunks USING gin (words);

CREATE TABLE text_statistics (
    namespace varchar(40) NOT NULL,
    language varchar(20) NOT NULL,
    chunks bigint NOT NULL,
    mean_tokens double precision NOT NULL,
    newest timestamptz NOT NULL,
    PRIMARY KEY (namespace, language)
) PARTITION BY LIST (namespace);
COMMENT ON TABLE text_statistics IS 'the chunks of a language whose words were counted';
COMMENT ON COLUMN text_statistics.newest IS 'when the newest of them was made';

CREATE TABLE text_terms (
    namespace varchar(40) NOT NULL,
    language varchar(20) NOT NULL,
    lexeme text NOT NULL,
    chunks integer NOT NULL,
    PRIMARY KEY (namespace, language, lexeme)
) PARTITION BY LIST (namespace);
COMMENT ON TABLE text_terms IS
    'how many chunks hold a word, which makes it rare or common; those of one chunk are left out';

DO $$
DECLARE
    known record;
BEGIN
    FOR known IN SELECT name FROM namespaces LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF text_statistics FOR VALUES IN (%L)',
                       'text_statistics_' || known.name, known.name);
        EXECUTE format('CREATE TABLE %I PARTITION OF text_terms FOR VALUES IN (%L)',
                       'text_terms_' || known.name, known.name);
    END LOOP;
END
$$;

SELECT secure_schema();
-- Whoever writes chunks has their words made.
GRANT EXECUTE ON FUNCTION words_of, chunk_words TO vector_writer, vector_tenant_writer;
