-- The place of a run's state among all changes of such states: whoever follows the store pages by
-- it.
ALTER TABLE runs ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET changed = id;
CREATE INDEX runs_changed ON runs (changed);

-- The number of the next change. What is given out once is not given out again.
CREATE TABLE run_changes (next INTEGER NOT NULL) STRICT;
INSERT INTO run_changes SELECT coalesce(max(id), 0) + 1 FROM runs;
