-- How far a reader lags behind the writer (PRD 9.1; who asks: store/monitor.py).
--
-- A standby's own functions do not tell: pg_last_xact_replay_timestamp grows old on an idle system,
-- and Aurora, whose readers share the writer's storage, has no WAL position of its own. So the
-- writer side of the health check leaves the writer's time in one row, and the time a reader shows
-- says how much of it has arrived there, by one clock, whatever replicates.

CREATE TABLE heartbeat (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    beat_at timestamptz NOT NULL
);
COMMENT ON TABLE heartbeat IS 'one row: when a health check last saw the writer, by its clock';
INSERT INTO heartbeat (beat_at) VALUES (clock_timestamp());

-- Every application that searches checks its readers, and so may move this one row; however many
-- there are, it moves at most once a second.
CREATE FUNCTION beat() RETURNS timestamptz LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE public.heartbeat SET beat_at = clock_timestamp()
    WHERE beat_at < clock_timestamp() - interval '0.9 seconds';
    SELECT beat_at FROM public.heartbeat;
$$;

SELECT secure_schema();
GRANT SELECT ON heartbeat TO vector_reader, vector_tenant_reader;
GRANT EXECUTE ON FUNCTION beat() TO vector_reader, vector_tenant_reader;
