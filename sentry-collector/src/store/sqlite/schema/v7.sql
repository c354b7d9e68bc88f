-- Findings with what people made of them. The columns `finding` and `rule` of older rows are filled
-- from their bodies (`findings.rs`).
ALTER TABLE findings ADD COLUMN finding TEXT NOT NULL DEFAULT '';
ALTER TABLE findings ADD COLUMN rule TEXT NOT NULL DEFAULT '';
-- 1 open, 2 acknowledged, 3 resolved, 4 suppressed.
ALTER TABLE findings ADD COLUMN state INTEGER NOT NULL DEFAULT 1;
ALTER TABLE findings ADD COLUMN assignee TEXT;
-- The suppression that was in force when the finding came, or that it was made for.
ALTER TABLE findings ADD COLUMN suppression INTEGER;
-- When somebody last changed it or wrote a comment.
ALTER TABLE findings ADD COLUMN triaged_ms INTEGER;
-- The place of this state among all changes of findings: whoever follows the store pages by it.
ALTER TABLE findings ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
UPDATE findings SET changed = id;
CREATE INDEX findings_state ON findings (state);
CREATE INDEX findings_changed ON findings (changed);
CREATE INDEX findings_finding ON findings (finding, run, sensor);

-- The number of the next change. What is given out once is not given out again.
CREATE TABLE finding_changes (next INTEGER NOT NULL) STRICT;
INSERT INTO finding_changes
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'findings'), 0) + 1;

-- Who did what with a finding, and what was said.
CREATE TABLE triage (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    sensor   INTEGER NOT NULL,
    run      TEXT    NOT NULL,
    finding  TEXT    NOT NULL,
    time_ms  INTEGER NOT NULL,
    who      TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    -- Of `assign`: to whom; null: to nobody.
    assignee TEXT,
    comment  TEXT    NOT NULL
) STRICT;
CREATE INDEX triage_finding ON triage (finding, run, sensor);

-- Findings of this rule and agent that come until then are not shown as open ones.
CREATE TABLE suppressions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    rule       TEXT    NOT NULL,
    agent      TEXT    NOT NULL,
    until_ms   INTEGER NOT NULL,
    why        TEXT    NOT NULL,
    made_by    TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    -- Before its time, by whom.
    ended_ms   INTEGER,
    ended_by   TEXT,
    -- How many findings it has suppressed.
    findings   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX suppressions_agent ON suppressions (agent, rule);
