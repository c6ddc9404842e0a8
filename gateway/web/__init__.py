"""The property manager's pages and REST: their own process. Writes through operations.client, reads through
store.reading; core may be away, then the pages say so and go on by themselves once it is back."""
