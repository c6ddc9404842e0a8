-- From version 1 to 2. New files get schema.sql first, then this.

-- Rank of the event's severity (0 info .. 4 life-safety): the lowest go first when the journal is full.
ALTER TABLE journal ADD COLUMN severity INTEGER NOT NULL DEFAULT 0;

-- Duress is looked up at every look of a page, and must not be found by reading everything.
CREATE INDEX journal_duress ON journal (seq) WHERE type = 'zhian.access.duress';

-- What core must know again after a restart: fire, lockdown, modes, who is where.
CREATE TABLE kept (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Alarms that left while the disk could not be written: their identity is of a memory epoch (docs/durability.md).
CREATE TABLE early (
    epoch         TEXT NOT NULL,
    seq           INTEGER NOT NULL,
    time_ms       INTEGER NOT NULL,
    clock_certain INTEGER NOT NULL,
    type          TEXT NOT NULL,
    portal        TEXT,
    data          BLOB NOT NULL,
    holder        TEXT,
    plate         TEXT,
    severity      INTEGER NOT NULL,
    acked         INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO meta VALUES ('first_seq', '0');  -- 0: this store never had a center
PRAGMA user_version = 2;
