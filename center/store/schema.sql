-- Version 1 of the center's store. `PRAGMA user_version` says which version a file has; a change adds a step, never edits.

CREATE TABLE gateway (
    id            INTEGER PRIMARY KEY,
    district      TEXT    NOT NULL,
    site          TEXT    NOT NULL,
    gateway       TEXT    NOT NULL,
    online        INTEGER NOT NULL DEFAULT 0,
    version       TEXT    NOT NULL DEFAULT '',
    simulated     INTEGER NOT NULL DEFAULT 0,
    last_seen_ms  INTEGER NOT NULL DEFAULT 0,  -- when anything of it last arrived here
    UNIQUE (district, site, gateway)
) STRICT;

-- One row per store of a gateway; ids rise in the order of first sight, which is the order of epochs.
CREATE TABLE epoch (
    id            INTEGER PRIMARY KEY,
    gateway_id    INTEGER NOT NULL REFERENCES gateway (id),
    epoch         TEXT    NOT NULL,
    stored_upto   INTEGER NOT NULL DEFAULT 0,  -- 1..stored_upto are stored or reported lost
    known_upto    INTEGER NOT NULL DEFAULT 0,  -- highest number seen or announced
    islands       TEXT    NOT NULL DEFAULT '[]',  -- JSON [[first, last], ...]: covered above stored_upto
    UNIQUE (gateway_id, epoch)
) STRICT;

CREATE TABLE event (
    row           INTEGER PRIMARY KEY,
    epoch_id      INTEGER NOT NULL REFERENCES epoch (id),
    seq           INTEGER NOT NULL,
    time_ms       INTEGER NOT NULL,  -- as the gateway said; never re-stamped
    received_ms   INTEGER NOT NULL,
    clock_certain INTEGER NOT NULL,
    simulated     INTEGER NOT NULL,
    type          TEXT    NOT NULL,
    severity      INTEGER NOT NULL,  -- 0 info .. 4 life-safety
    subject       TEXT    NOT NULL,
    data          TEXT    NOT NULL,  -- JSON object by field name
    UNIQUE (epoch_id, seq)
) STRICT;

CREATE INDEX event_by_severity ON event (severity, row) WHERE severity >= 2;

-- Totals kept beside the rows, in the same commit, so that nobody counts millions of rows for a page.
CREATE TABLE total (
    name          TEXT    PRIMARY KEY,
    value         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
