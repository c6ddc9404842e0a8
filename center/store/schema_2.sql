-- Version 2: numbers reported lost, addresses, totals by type, webhooks, and a record of what was removed.

ALTER TABLE epoch ADD COLUMN lost TEXT NOT NULL DEFAULT '[]';  -- JSON ranges: covered, reported lost, never arrived
ALTER TABLE event ADD COLUMN address TEXT;  -- standard address code (标准地址) at the time of storing
ALTER TABLE event ADD COLUMN grid TEXT;     -- grid cell (网格) at the time of storing

CREATE INDEX event_by_time ON event (time_ms);
CREATE INDEX event_by_grid ON event (grid, row) WHERE grid IS NOT NULL;

-- Events ever stored, by type; removal does not lower it.
CREATE TABLE tally (
    type          TEXT    NOT NULL,
    severity      INTEGER NOT NULL,
    count         INTEGER NOT NULL,
    PRIMARY KEY (type, severity)
) STRICT, WITHOUT ROWID;

-- '' as gateway or subject: the default of the site or of the gateway.
CREATE TABLE address (
    district      TEXT    NOT NULL,
    site          TEXT    NOT NULL,
    gateway       TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    address       TEXT    NOT NULL,
    grid          TEXT    NOT NULL,
    place         TEXT    NOT NULL,
    PRIMARY KEY (district, site, gateway, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook (
    endpoint      TEXT    PRIMARY KEY,
    upto_row      INTEGER NOT NULL,  -- every matching event up to here was delivered or is a dead letter
    delivered     INTEGER NOT NULL DEFAULT 0,
    failing_since_ms INTEGER NOT NULL DEFAULT 0,  -- 0: the last attempt succeeded
    problem       TEXT    NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letter (
    endpoint      TEXT    NOT NULL,
    row           INTEGER NOT NULL,
    made_ms       INTEGER NOT NULL,
    attempts      INTEGER NOT NULL,
    problem       TEXT    NOT NULL,
    document      TEXT    NOT NULL,  -- the CloudEvents document: it outlives the event
    retry         INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (endpoint, row)
) STRICT, WITHOUT ROWID;

CREATE TABLE removal (
    at_ms         INTEGER PRIMARY KEY,
    before_ms     INTEGER NOT NULL,
    events        INTEGER NOT NULL,
    days          TEXT    NOT NULL  -- JSON {"2026-01-31": events received that day (UTC)}
) STRICT;

INSERT INTO tally (type, severity, count) SELECT type, severity, count(*) FROM event GROUP BY type, severity;
-- Rows are numbered by the writer: SQLite would use the highest number again once its event has been removed.
INSERT INTO total (name, value) SELECT 'row', coalesce(max(row), 0) FROM event;
