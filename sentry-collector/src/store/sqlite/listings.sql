-- What listings ask for. Each relation has `id`, by which its rows are paged, and the columns that
-- readers and filters name; events are paged by their own numbers (`events.rs`). No relation groups
-- or sorts, so that a filter reaches the index of its table.

CREATE TEMP VIEW listed_sensors AS
SELECT t.id, t.sensor, h.host, h.version, h.boot_id, h.tier, h.limits, t.first_seen_ms, t.last_seen_ms,
    t.last_seen_ms AS time_ms,
    -- The newest epochs, as JSON.
    (SELECT json_group_array(json_object('epoch', f.epoch, 'acked', f.acked, 'lost', f.lost, 'began_ms', f.began_ms))
        FROM (SELECT * FROM feeds WHERE sensor = t.id ORDER BY id DESC LIMIT 8) f) AS epochs
FROM sensors t JOIN sessions h ON h.id = t.session;

CREATE TEMP VIEW listed_sessions AS
SELECT t.id, s.sensor, f.epoch, t.host, t.version, t.boot_id, t.tier, t.limits, t.began_ms AS time_ms
FROM sessions t JOIN feeds f ON f.id = t.feed JOIN sensors s ON s.id = f.sensor;

CREATE TEMP VIEW listed_agents AS
SELECT t.id, t.agent, t.name, t.first_seen_ms, t.last_seen_ms, t.last_seen_ms AS time_ms,
    (SELECT count(*) FROM runs r WHERE r.agent = t.agent) AS runs,
    (SELECT count(*) FROM runs r WHERE r.agent = t.agent AND r.ended_ms IS NULL) AS runs_live,
    (SELECT count(*) FROM findings x WHERE x.agent = t.agent) AS findings
FROM agents t;

CREATE TEMP VIEW listed_runs AS
SELECT t.id, t.run, t.agent, s.sensor, h.host, t.body, t.updated_ms, t.changed, t.started_ms AS time_ms,
    coalesce(y.events, 0) AS events_stored,
    coalesce(y.findings, 0) AS findings_stored,
    coalesce(y.lost_items, 0) AS lost_items,
    coalesce(y.pruned, 0) AS pruned,
    t.first_feed <> t.feed AS spool_lost,
    -- A gap without names may hide items of every run that lived then; the two clocks may differ by minutes.
    (SELECT coalesce(sum(g.unnamed), 0) FROM gaps g WHERE g.sensor = t.sensor
        AND g.time_ms >= t.started_ms - 300000 AND (t.ended_ms IS NULL OR g.feed <> t.feed OR g.seq < t.seq))
        AS lost_unnamed
FROM runs t JOIN sensors s ON s.id = t.sensor JOIN sessions h ON h.id = t.session
    LEFT JOIN run_tallies y ON y.sensor = t.sensor AND y.run = t.run;

-- Runs in the order of their newest states.
CREATE TEMP VIEW changed_runs AS
SELECT l.changed AS id, l.sensor, l.host, l.body, l.updated_ms, l.events_stored, l.findings_stored, l.lost_items,
    l.lost_unnamed, l.pruned, l.spool_lost
FROM listed_runs l;

CREATE TEMP VIEW listed_blocks AS
SELECT t.id, t.upto, t.run, t.agent, t.classes, t.earliest_ms, t.latest_ms, t.spans,
    s.sensor, h.host, h.version, h.boot_id,
    (SELECT r.container FROM runs r WHERE r.run = t.run AND r.sensor = t.sensor) AS container,
    (SELECT b.body FROM bodies b WHERE b.id = t.id) AS body
FROM blocks t JOIN sensors s ON s.id = t.sensor JOIN sessions h ON h.id = t.session;

CREATE TEMP VIEW listed_findings AS
SELECT t.id, t.run, t.agent, t.severity, t.time_ms, s.sensor, h.host, h.version, h.boot_id, t.body, t.finding,
    t.state, t.assignee, t.suppression, t.triaged_ms, t.changed,
    (SELECT r.container FROM runs r WHERE r.run = t.run AND r.sensor = t.sensor) AS container
FROM findings t JOIN sensors s ON s.id = t.sensor JOIN sessions h ON h.id = t.session;

-- Findings in the order of their newest states.
CREATE TEMP VIEW changed_findings AS
SELECT l.changed AS id, l.sensor, l.host, l.version, l.boot_id, l.body, l.state, l.assignee, l.suppression,
    l.triaged_ms, l.container
FROM listed_findings l;

CREATE TEMP VIEW listed_triage AS
SELECT t.id, s.sensor, t.run, t.finding, t.time_ms, t.who, t.action, t.assignee, t.comment
FROM triage t JOIN sensors s ON s.id = t.sensor;

CREATE TEMP VIEW listed_suppressions AS
SELECT t.id, t.rule, t.agent, t.until_ms, t.why, t.made_by, t.created_ms, t.ended_ms, t.ended_by, t.findings
FROM suppressions t;

-- Neither decisions nor outcomes name an agent: it is the one of their run.
CREATE TEMP VIEW listed_decisions AS
SELECT t.id, t.run, r.agent, t.time_ms, s.sensor, t.body
FROM decisions t JOIN sensors s ON s.id = t.sensor
    LEFT JOIN runs r ON r.run = t.run AND r.sensor = t.sensor;

CREATE TEMP VIEW listed_outcomes AS
SELECT t.id, t.run, r.agent, t.time_ms, s.sensor, t.body
FROM outcomes t JOIN sensors s ON s.id = t.sensor
    LEFT JOIN runs r ON r.run = t.run AND r.sensor = t.sensor;

CREATE TEMP VIEW listed_gaps AS
SELECT t.id, s.sensor, f.epoch, t.seq AS first, t.last, t.cut, t.time_ms, t.body
FROM gaps t JOIN sensors s ON s.id = t.sensor JOIN feeds f ON f.id = t.feed;

-- The runs that a gap names.
CREATE TEMP VIEW runs_of_gaps AS
SELECT gap AS id, run FROM gap_runs;

CREATE TEMP VIEW listed_keys AS
SELECT t.id, t.prefix, t.scope, t.agent, t.note, t.made_by, t.created_ms, t.expires_ms, t.used_ms, t.revoked_ms,
    t.created_ms AS time_ms
FROM keys t;

CREATE TEMP VIEW listed_audit AS
SELECT t.id, t.time_ms, t.who, t.source, t.action, t.target, t.why, t.result
FROM audit t;
