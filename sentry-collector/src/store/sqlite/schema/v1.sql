CREATE TABLE sensors (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    sensor        TEXT    NOT NULL UNIQUE,
    -- The session of the last hello.
    session       INTEGER NOT NULL,
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms  INTEGER NOT NULL
) STRICT;

-- One epoch of one sensor. Exactly the positions 1..=acked are accounted for: stored, covered by a gap, or pruned.
CREATE TABLE feeds (
    id       INTEGER PRIMARY KEY,
    sensor   INTEGER NOT NULL,
    epoch    TEXT    NOT NULL,
    acked    INTEGER NOT NULL,
    lost     INTEGER NOT NULL DEFAULT 0,
    began_ms INTEGER NOT NULL,
    UNIQUE (sensor, epoch)
) STRICT;

-- What a hello said. Items keep the session they came in, so that their host context never changes.
CREATE TABLE sessions (
    id       INTEGER PRIMARY KEY,
    feed     INTEGER NOT NULL,
    host     TEXT    NOT NULL,
    version  TEXT    NOT NULL,
    boot_id  TEXT    NOT NULL,
    tier     TEXT    NOT NULL,
    limits   TEXT    NOT NULL,
    began_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_feed ON sessions (feed);

CREATE TABLE agents (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    agent         TEXT    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms  INTEGER NOT NULL
) STRICT;

-- The newest state of each run.
CREATE TABLE runs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    sensor     INTEGER NOT NULL,
    run        TEXT    NOT NULL,
    agent      TEXT    NOT NULL,
    state      INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms   INTEGER,
    -- The feeds that brought its first and its newest state: they differ when the spool was lost in between.
    first_feed INTEGER NOT NULL,
    feed       INTEGER NOT NULL,
    session    INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    body       BLOB    NOT NULL,
    UNIQUE (run, sensor)
) STRICT;
CREATE INDEX runs_agent ON runs (agent);
CREATE INDEX runs_sensor ON runs (sensor);

-- What was received of a run, also where its state never came.
CREATE TABLE run_tallies (
    sensor      INTEGER NOT NULL,
    run         TEXT    NOT NULL,
    events      INTEGER NOT NULL DEFAULT 0,
    findings    INTEGER NOT NULL DEFAULT 0,
    lost_items  INTEGER NOT NULL DEFAULT 0,
    pruned      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (sensor, run)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    feed      INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    sensor    INTEGER NOT NULL,
    session   INTEGER NOT NULL,
    run       TEXT    NOT NULL,
    agent     TEXT    NOT NULL,
    class_uid INTEGER NOT NULL,
    time_ms   INTEGER NOT NULL,
    body      BLOB    NOT NULL,
    UNIQUE (feed, seq)
) STRICT;
CREATE INDEX events_run ON events (run);
CREATE INDEX events_agent ON events (agent);
CREATE INDEX events_sensor ON events (sensor);
CREATE INDEX events_class ON events (class_uid);
CREATE INDEX events_time ON events (time_ms);

CREATE TABLE findings (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    feed     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    sensor   INTEGER NOT NULL,
    session  INTEGER NOT NULL,
    run      TEXT    NOT NULL,
    agent    TEXT    NOT NULL,
    severity INTEGER NOT NULL,
    time_ms  INTEGER NOT NULL,
    body     BLOB    NOT NULL,
    UNIQUE (feed, seq)
) STRICT;
CREATE INDEX findings_run ON findings (run);
CREATE INDEX findings_agent ON findings (agent);
CREATE INDEX findings_severity ON findings (severity);
CREATE INDEX findings_time ON findings (time_ms);

CREATE TABLE decisions (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    feed    INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    sensor  INTEGER NOT NULL,
    session INTEGER NOT NULL,
    run     TEXT    NOT NULL,
    time_ms INTEGER NOT NULL,
    body    BLOB    NOT NULL,
    UNIQUE (feed, seq)
) STRICT;
CREATE INDEX decisions_run ON decisions (run);
CREATE INDEX decisions_time ON decisions (time_ms);

CREATE TABLE outcomes (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    feed    INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    sensor  INTEGER NOT NULL,
    session INTEGER NOT NULL,
    run     TEXT    NOT NULL,
    time_ms INTEGER NOT NULL,
    body    BLOB    NOT NULL,
    UNIQUE (feed, seq)
) STRICT;
CREATE INDEX outcomes_run ON outcomes (run);
CREATE INDEX outcomes_time ON outcomes (time_ms);

-- Positions first..=last are gone for ever. `cut` is set when the gap as sent began earlier, at what is stored.
CREATE TABLE gaps (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    feed        INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    sensor      INTEGER NOT NULL,
    session     INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    cut         INTEGER NOT NULL,
    unnamed     INTEGER NOT NULL,
    time_ms     INTEGER NOT NULL,
    body        BLOB    NOT NULL,
    UNIQUE (feed, seq)
) STRICT;
CREATE INDEX gaps_sensor ON gaps (sensor);

CREATE TABLE gap_runs (
    run   TEXT    NOT NULL,
    gap   INTEGER NOT NULL,
    items INTEGER NOT NULL,
    PRIMARY KEY (run, gap)
) STRICT, WITHOUT ROWID;

CREATE TABLE commands (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key          TEXT    NOT NULL UNIQUE,
    sensor       INTEGER NOT NULL,
    run          TEXT    NOT NULL,
    action       INTEGER NOT NULL,
    reason       TEXT    NOT NULL,
    created_ms   INTEGER NOT NULL,
    delivered_ms INTEGER,
    done_ms      INTEGER,
    outcome      BLOB
) STRICT;
CREATE INDEX commands_open ON commands (sensor) WHERE done_ms IS NULL;
