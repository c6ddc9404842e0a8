"""The reporting contract: event catalogue, frames, topics. Pure: no I/O, no clocks, nothing else of ours."""
