-- Version 2 of the schema in PostgreSQL: what version 3 is in SQLite (schema_3.sql says what the columns mean).

ALTER TABLE gateway ADD COLUMN epoch_id bigint;
ALTER TABLE epoch ADD COLUMN lost_beyond bigint NOT NULL DEFAULT 0;
ALTER TABLE epoch ADD COLUMN first_seen_ms bigint NOT NULL DEFAULT 0;
ALTER TABLE webhook ADD COLUMN removed bigint NOT NULL DEFAULT 0;

CREATE TABLE run (
    first_row     bigint PRIMARY KEY,
    id            bigint NOT NULL
);
