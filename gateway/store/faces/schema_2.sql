-- The end of the list of erasures as this store saw it last: a list without it has lost lines.
CREATE TABLE newest_erasure (
    number INTEGER NOT NULL,             -- 0: none yet
    digest TEXT NOT NULL                 -- of that line, gateway/store/faces/ledger.py
) STRICT;
INSERT INTO newest_erasure VALUES (0, '')
