"""From observation to actuation: each portal's loop asks `access.decide`, records, then moves. Knows ports, no I/O."""
