"""What people do with a gateway. `operations.py` is the rules, `messages.py` the wire, `client.py` the same calls
over core's Unix socket."""
