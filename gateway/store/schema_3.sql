-- From version 2 to 3.

-- Where an alarm that left early stands in the list of the site: before this number of the journal. 0: not known.
ALTER TABLE early ADD COLUMN before_seq INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version = 3;
