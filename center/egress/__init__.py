"""From the store to other systems: CloudEvents documents, signed webhooks, files of events."""
