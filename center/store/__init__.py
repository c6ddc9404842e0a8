"""Events as they arrived, each once: SQLite, one writer, read-only readers."""
