-- The container of the run, as a protobuf message of its own: listings of events and findings name
-- it. Null: the run is in none, or was last stored before there was this column.
ALTER TABLE runs ADD COLUMN container BLOB;
