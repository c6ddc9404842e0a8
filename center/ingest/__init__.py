"""From the broker to the store and back: receive, decode, store, acknowledge."""
