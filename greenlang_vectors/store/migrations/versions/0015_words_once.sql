-- The planner put the words' expression in both places that name them, so that each passage was
-- parsed twice. OFFSET 0 has it evaluated once; the words are the same.

CREATE OR REPLACE FUNCTION chunk_words(language text, content text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT words || array_to_tsvector(ARRAY(
        SELECT lexeme || chr(times)
        FROM unnest(words) CROSS JOIN unnest(ARRAY[2, 3, 5, 8]) AS times
        WHERE cardinality(positions) >= times))
    FROM (SELECT public.words_of(language, content) AS words OFFSET 0) made
$$;
