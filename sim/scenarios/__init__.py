"""Scenario files (TOML) that are shipped with the simulator."""
