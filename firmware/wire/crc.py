"""CRC-16 of OSDP: polynomial 0x1021, initial value 0x1D0F, not reflected, sent low byte first."""

_INITIAL = 0x1D0F


def _entry(index: int) -> int:
    value = index << 8
    for _ in range(8):
        value = (value << 1) ^ 0x1021 if value & 0x8000 else value << 1
    return value & 0xFFFF


_TABLE = tuple([_entry(i) for i in range(256)])


def crc16(data: bytes) -> int:
    """The checksum over all of `data`."""
    table = _TABLE
    crc = _INITIAL
    for byte in data:
        crc = ((crc << 8) & 0xFFFF) ^ table[(crc >> 8) ^ byte]
    return crc
