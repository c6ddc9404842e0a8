"""What a portal does: state machines as tables. Pure: an event and a time in, the next state and effects out."""
