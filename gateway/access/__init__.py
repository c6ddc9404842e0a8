"""Who may pass, when and why. Pure: values in, a Decision out; no I/O, no clock, no logging."""
