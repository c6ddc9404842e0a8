"""A node on a microcontroller: what RP2 and ESP32 have in common (`machine`, littlefs)."""
