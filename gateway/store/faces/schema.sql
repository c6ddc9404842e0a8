-- Faces of consenting holders. Nothing here says what a face looks like without its key, which lies elsewhere.
CREATE TABLE enrolment (
    enrolment TEXT PRIMARY KEY,          -- 32 hex digits, random
    holder TEXT NOT NULL UNIQUE,         -- one enrolment a holder
    consent BLOB NOT NULL,               -- JSON, gateway/store/faces/consent.py
    model_sha256 TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE reference (
    id INTEGER PRIMARY KEY,
    enrolment TEXT NOT NULL REFERENCES enrolment ON DELETE CASCADE,
    sealed BLOB NOT NULL                 -- nonce, AES-256-GCM ciphertext, tag
) STRICT;
CREATE INDEX reference_by_enrolment ON reference (enrolment);
