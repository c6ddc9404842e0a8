-- Version 1. Applied once to a new file; `user_version` names the version of an existing one.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Journal and outbox in one: rows above meta.acked_upto are still to be acknowledged by the center.
CREATE TABLE journal (
    seq           INTEGER PRIMARY KEY,  -- contiguous within the epoch, from 1
    time_ms       INTEGER NOT NULL,
    clock_certain INTEGER NOT NULL,
    type          TEXT NOT NULL,
    portal        TEXT,                 -- for the pages' filter
    data          BLOB NOT NULL,        -- MessagePack of the event's data: what leaves the site
    holder        TEXT,                 -- site only
    plate         TEXT                  -- site only
) STRICT;
CREATE INDEX journal_portal ON journal (portal, seq) WHERE portal IS NOT NULL;

CREATE TABLE holder (
    id      TEXT PRIMARY KEY,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta VALUES ('epoch', lower(hex(randomblob(8)))), ('acked_upto', '0'), ('running', '0');
PRAGMA user_version = 1;
