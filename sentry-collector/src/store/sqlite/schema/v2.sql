-- How the sensor proved who it is: "certificate", "key" or "socket". Null: it has not since there
-- is a proof, and the next one that holds decides.
ALTER TABLE sensors ADD COLUMN way TEXT;

-- The position that the epoch's first hello named, and when. Null: not since it is kept.
ALTER TABLE feeds ADD COLUMN reach INTEGER;
ALTER TABLE feeds ADD COLUMN reach_ms INTEGER;
