-- told: how many of the erasures have their event in the journal, noted after it and used where the journal was lost.
-- NULL where it is not known yet, in a store of the release before or a new one beside an older list.
ALTER TABLE newest_erasure ADD COLUMN told INTEGER;
-- Enrolments that were replaced, until their key is destroyed and the list of erasures names them.
CREATE TABLE ending (
    enrolment TEXT PRIMARY KEY,
    removed INTEGER NOT NULL             -- sealed references that went with it
) STRICT
