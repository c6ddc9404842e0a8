"""Pictures to plates: decode, detect, rectify, read, check, vote. Stages are functions; `worker` is the process."""
