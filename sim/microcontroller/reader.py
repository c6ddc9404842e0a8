"""What a Wiegand reader does to its two lines: pulses to ground, microsecond by microsecond."""

IDLE = 3  # both lines high


def waveform(bits: int, data: bytes, pulse_us: int = 50, period_us: int = 2000, silence_us: int = 40000) -> list:
    """[(level of both lines, for how many microseconds), ...]; DATA0 in bit 0; `data` with its first bit on top."""
    out = [(IDLE, 100)]
    for at in range(bits):
        bit = data[at // 8] >> 7 - at % 8 & 1
        out.append((IDLE & ~(1 << bit), pulse_us))
        out.append((IDLE, period_us - pulse_us))
    out.append((IDLE, silence_us))
    return out


def key_waveform(key: str) -> list:
    """A key in the short form of four bits."""
    return waveform(4, bytes(("0123456789*#".index(key) << 4,)), silence_us=34000)
