-- From version 3 to 4.

-- The site's pages count without rows that not everybody may see. Such a row must count on after it was removed, or every
-- number behind it would change. However it is removed: a trigger cannot be forgotten. What lies before the oldest row
-- left is only counted (meta.hidden_before).
CREATE TABLE hidden (
    seq INTEGER PRIMARY KEY
) STRICT;
CREATE TRIGGER journal_hidden AFTER DELETE ON journal WHEN old.type = 'zhian.access.duress'
BEGIN
    INSERT OR IGNORE INTO hidden VALUES (old.seq);
END;
INSERT INTO meta VALUES ('hidden_before', '0');
PRAGMA user_version = 4;
