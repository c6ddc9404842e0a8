"""The `zhian` command. Each module here is thin: it reads its options and calls a room. Nobody imports this package."""
