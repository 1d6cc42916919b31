-- A dead letter that nobody will mend is discarded: it is kept, with who said so and when, and is
-- counted and told no more unless it fails for another reason.

ALTER TABLE dead_letters
    ADD COLUMN discarded_at timestamptz,
    ADD COLUMN discarded_by name;
COMMENT ON COLUMN dead_letters.discarded_at IS 'NULL while the letter is open';
