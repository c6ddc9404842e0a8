"""RP2040 and RP2350: what their PIO does better than the processor."""
