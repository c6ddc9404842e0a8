"""SQLite: the journal that is also the outbox, holders' names, policy documents. Core is the only writer."""
