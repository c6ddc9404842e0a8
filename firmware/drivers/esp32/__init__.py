"""ESP32-S3: what it has in place of the RP2's PIO."""
