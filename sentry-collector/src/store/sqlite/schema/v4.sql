-- Events in blocks: the events of one run that came together, compressed. `id` is the number of
-- the first of them, `upto` that of the last one; `spans` has all numbers and positions
-- (`spans.rs`), so that blocks of several runs may lie side by side.
CREATE TABLE blocks (
    id          INTEGER PRIMARY KEY,
    upto        INTEGER NOT NULL,
    feed        INTEGER NOT NULL,
    sensor      INTEGER NOT NULL,
    session     INTEGER NOT NULL,
    run         TEXT    NOT NULL,
    agent       TEXT    NOT NULL,
    -- Positions of the first and the last event.
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    events      INTEGER NOT NULL,
    earliest_ms INTEGER NOT NULL,
    latest_ms   INTEGER NOT NULL,
    -- One bit for each OCSF class that an event may have.
    classes     INTEGER NOT NULL,
    -- Where the block waits to be merged: the window of its numbers. Null: it stays as it is.
    small       INTEGER,
    spans       BLOB    NOT NULL
) STRICT;
-- By `id` as well as by `upto`: a listing reads blocks in the order of either.
CREATE INDEX blocks_upto ON blocks (upto);
CREATE INDEX blocks_run ON blocks (run);
CREATE INDEX blocks_run_upto ON blocks (run, upto);
CREATE INDEX blocks_agent ON blocks (agent);
CREATE INDEX blocks_agent_upto ON blocks (agent, upto);
CREATE INDEX blocks_sensor ON blocks (sensor);
CREATE INDEX blocks_sensor_upto ON blocks (sensor, upto);
CREATE INDEX blocks_small ON blocks (small, feed, session, run, agent, sensor) WHERE small IS NOT NULL;

-- Beside their rows, so that looking for a block reads no other's body.
CREATE TABLE bodies (
    id   INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- The number of the next event. What is given out once is not given out again.
CREATE TABLE numbers (next INTEGER NOT NULL) STRICT;
INSERT INTO numbers SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) + 1;

-- The rows of `events` become blocks with the same numbers, step by step (`legacy.rs`), which reads
-- them in the order of their ids and needs no other index.
DROP INDEX events_run;
DROP INDEX events_agent;
DROP INDEX events_sensor;
DROP INDEX events_class;
DROP INDEX events_time;
