-- Version 3: which epoch a gateway works with, losses beyond the list, the pace of new epochs, and who wrote which rows.

ALTER TABLE gateway ADD COLUMN epoch_id INTEGER;  -- the epoch that its newest state names; NULL before the first one
ALTER TABLE epoch ADD COLUMN lost_beyond INTEGER NOT NULL DEFAULT 0;  -- numbers reported lost for which `lost` has no room
ALTER TABLE epoch ADD COLUMN first_seen_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhook ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;  -- events that retention took before it came to them

-- One row for each run of ingest that stored something: rows from first_row on are its own, up to the next run's. A store
-- that was put back to an earlier state gives the same numbers again, but in another run: so a cursor can tell.
CREATE TABLE run (
    first_row     INTEGER PRIMARY KEY,
    id            INTEGER NOT NULL  -- random
) STRICT;
