-- Cells: an inverted file over the rows that no ANN index holds yet (store/cells.py). The B-tree
-- that finds those rows by segment finds them by cell as well, so that a new row costs no more.

ALTER TABLE vector_embeddings ADD COLUMN cell smallint NOT NULL DEFAULT -1;
COMMENT ON COLUMN vector_embeddings.cell IS
    'which of its segment''s cells the vector lies in (embedding_cells); -1 where nobody knows';
CREATE INDEX vector_embeddings_cell ON vector_embeddings (segment, cell);
DROP INDEX vector_embeddings_segment;

CREATE TABLE embedding_cells (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace varchar(40) NOT NULL,
    collection_id uuid NOT NULL REFERENCES embedding_collections ON DELETE CASCADE,
    first_segment integer NOT NULL,
    rows bigint NOT NULL,
    metric varchar(20) NOT NULL,
    axes bytea NOT NULL,
    centers bytea NOT NULL,
    shares bytea NOT NULL,
    reaches real[] NOT NULL,
    trained_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (collection_id, first_segment)
);
COMMENT ON TABLE embedding_cells IS
    'a generation of a collection''s cells; it holds from its first segment to the next one''s';
COMMENT ON COLUMN embedding_cells.rows IS 'of the collection, when it was trained';
COMMENT ON COLUMN embedding_cells.axes IS 'float32, little-endian: what vectors are projected by';
COMMENT ON COLUMN embedding_cells.centers IS 'float32: of each cell, among the projected vectors';
COMMENT ON COLUMN embedding_cells.shares IS 'float32: of the rows, that lie in each cell';
COMMENT ON COLUMN embedding_cells.reaches IS
    'the share of the rows to compare so that the nearest 10, 100 and 1,000 are found';

-- An UPDATE that gives a row another vector, or moves it to a segment of other cells, and says
-- nothing of its cell would leave it where no search looks for it. The writer, whose row may have
-- come to lie in the same cell again, says cell c as -2 - c.
CREATE FUNCTION settle_cell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.cell := CASE WHEN NEW.cell < -1 THEN -2 - NEW.cell ELSE -1 END;
    RETURN NEW;
END $$;
CREATE TRIGGER settle_cell BEFORE UPDATE ON vector_embeddings FOR EACH ROW
WHEN (NEW.cell < -1 OR (NEW.cell >= 0 AND NEW.cell = OLD.cell AND (
        NEW.segment <> OLD.segment OR NEW.embedding <> OLD.embedding)))
EXECUTE FUNCTION settle_cell();

SELECT secure_schema();
