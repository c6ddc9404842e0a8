"""What each process of ours does around its work: read its TOML, log, tell systemd, stop cleanly. Knows no domain."""
