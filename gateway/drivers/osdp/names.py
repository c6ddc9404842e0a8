"""Names of OSDP v2 for people: commands, replies, capabilities, refusals. Pure."""

from __future__ import annotations

from collections.abc import Sequence

# Codes as in the tables of OSDP v2 that public implementations share; also those that this project does not use.
COMMANDS = {
    0x60: "POLL", 0x61: "ID", 0x62: "CAP", 0x64: "LSTAT", 0x65: "ISTAT", 0x66: "OSTAT", 0x67: "RSTAT", 0x68: "OUT",
    0x69: "LED", 0x6A: "BUZ", 0x6B: "TEXT", 0x6C: "RMODE", 0x6D: "TDSET", 0x6E: "COMSET", 0x73: "BIOREAD",
    0x74: "BIOMATCH", 0x75: "KEYSET", 0x76: "CHLNG", 0x77: "SCRYPT", 0x7B: "ACURXSIZE", 0x7C: "FILETRANSFER",
    0x80: "MFG", 0xA1: "XWR", 0xA2: "ABORT", 0xA3: "PIVDATA", 0xA4: "GENAUTH", 0xA5: "CRAUTH", 0xA7: "KEEPACTIVE",
}  # fmt: skip
REPLIES = {
    0x40: "ACK", 0x41: "NAK", 0x45: "PDID", 0x46: "PDCAP", 0x48: "LSTATR", 0x49: "ISTATR", 0x4A: "OSTATR",
    0x4B: "RSTATR", 0x50: "RAW", 0x51: "FMT", 0x53: "KEYPPAD", 0x54: "COM", 0x57: "BIOREADR", 0x58: "BIOMATCHR",
    0x76: "CCRYPT", 0x78: "RMAC_I", 0x79: "BUSY", 0x7A: "FTSTAT", 0x80: "PIVDATAR", 0x81: "GENAUTHR", 0x82: "CRAUTHR",
    0x83: "MFGSTATR", 0x84: "MFGERRR", 0x90: "MFGREP", 0xB1: "XRD",
}  # fmt: skip
REFUSALS = {
    1: "damaged check", 2: "wrong length", 3: "unknown command", 4: "wrong sequence", 5: "security block not supported",
    6: "secure channel required", 7: "biometric type", 8: "biometric format", 9: "cannot be done",
}  # fmt: skip
_CAPABILITIES = {
    1: "contacts", 2: "outputs", 3: "card format", 4: "LEDs", 5: "buzzers", 6: "text displays", 7: "clock",
    8: "check", 9: "secure channel", 10: "receive buffer", 11: "combined message", 12: "smart card", 13: "readers",
    14: "biometrics", 15: "secure PIN", 16: "OSDP version",
}  # fmt: skip
_LEVELS = {
    (3, 1): "bits as they came", (3, 2): "BCD characters", (3, 3): "bits or BCD",
    (4, 1): "on and off", (4, 2): "timed", (4, 3): "timed, two colours", (4, 4): "timed, three colours",
    (5, 1): "on and off", (5, 2): "timed",
    (8, 0): "sum only", (8, 1): "CRC-16",
    (9, 0): "none", (9, 1): "AES-128",
    (16, 1): "IEC 60839-11-5", (16, 2): "SIA 2.2",
}  # fmt: skip


def name_of(code: int, reply: bool) -> str:
    """The name of a command or reply, `?7f` for one that the standard does not have."""
    return (REPLIES if reply else COMMANDS).get(code, f"?{code:02x}")


def described(entries: Sequence[tuple[int, int, int]]) -> list[str]:
    """One short text per entry of PDCAP: (function, compliance, number of items)."""
    return [_described(function, level, items) for function, level, items in entries]


def _described(function: int, level: int, items: int) -> str:
    name = _CAPABILITIES.get(function, f"function {function}")
    if function in (10, 11):
        return f"{name} {level | items << 8} bytes"
    if function == 9:
        keys = "" if not items & 1 else ", default key"
        return f"{name} {_LEVELS.get((9, level & 1), level)}{keys}"
    text = _LEVELS.get((function, level))
    count = f" {items}" if items else ""
    return f"{name}{count}" + (f" ({text})" if text else "")
