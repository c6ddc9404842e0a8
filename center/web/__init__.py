"""The district center's pages and REST: their own process, which only reads the store."""
