"""The Raspberry Pi's side: decides at the door, records, reports. `app.py` is the composition root."""
