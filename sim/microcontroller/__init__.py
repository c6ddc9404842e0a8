"""A board in place of the microcontroller: `machine` and `rp2` for the Unix interpreter, and a model of the RP2's PIO.

The node's own files run unchanged, from boot.py on; its pins speak the simulator's pins socket, its UART is a pty.
Runs in both interpreters. It is no emulator: no clock cycles but the PIO's, no flash, no interrupts, far more speed.
"""
