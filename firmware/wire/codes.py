"""Numbers of OSDP v2 (IEC 60839-11-5), as public implementations use them. The only place that holds them."""

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


# Commands, control panel to peripheral device.
POLL = const(0x60)
ID = const(0x61)
CAP = const(0x62)
LSTAT = const(0x64)
ISTAT = const(0x65)
OSTAT = const(0x66)
OUT = const(0x68)
LED = const(0x69)
BUZ = const(0x6A)
TEXT = const(0x6B)
COMSET = const(0x6E)
KEYSET = const(0x75)
CHLNG = const(0x76)
SCRYPT = const(0x77)
FILETRANSFER = const(0x7C)
MFG = const(0x80)

# Replies, peripheral device to control panel.
ACK = const(0x40)
NAK = const(0x41)
PDID = const(0x45)
PDCAP = const(0x46)
LSTATR = const(0x48)
ISTATR = const(0x49)
OSTATR = const(0x4A)
RAW = const(0x50)
KEYPPAD = const(0x53)
COM = const(0x54)
CCRYPT = const(0x76)
RMAC_I = const(0x78)
BUSY = const(0x79)
FTSTAT = const(0x7A)
MFGREP = const(0x90)

# Why a command was refused (first byte of NAK).
NAK_CHECK = const(1)
NAK_LENGTH = const(2)
NAK_UNKNOWN = const(3)
NAK_SEQUENCE = const(4)
NAK_SECURITY_BLOCK = const(5)
NAK_NOT_SECURE = const(6)
NAK_RECORD = const(9)

# Security block types. The handshake's four carry the key type or status; the last four carry a MAC, 17/18 also
# encrypt the payload. A reply's type is its command's plus one.
SCS_CHLNG = const(0x11)
SCS_CCRYPT = const(0x12)
SCS_SCRYPT = const(0x13)
SCS_RMAC_I = const(0x14)
SCS_MAC = const(0x15)
SCS_MAC_REPLY = const(0x16)
SCS_ENCRYPTED = const(0x17)
SCS_ENCRYPTED_REPLY = const(0x18)

KEY_DEFAULT = const(0)  # SCBK-D, the key everybody knows: only to give a device its own, while a window is open
KEY_SCBK = const(1)
SCBK_D = b"0123456789:;<=>?"

# Output control codes. Timers count 100 ms.
OUT_NOP = const(0)
OUT_OFF = const(1)
OUT_ON = const(2)
OUT_TIMED_ON = const(5)
TIMER_UNIT_MS = const(100)

# LED control codes and colours.
LED_NOP = const(0)
LED_CANCEL_TEMPORARY = const(1)
LED_SET_TEMPORARY = const(2)
LED_SET_PERMANENT = const(1)
BLACK = const(0)
RED = const(1)
GREEN = const(2)
AMBER = const(3)

# Buzzer tones.
TONE_NONE = const(0)
TONE_OFF = const(1)
TONE_DEFAULT = const(2)

# Text commands.
TEXT_PERMANENT = const(1)
TEXT_PERMANENT_WRAP = const(2)
TEXT_TEMPORARY = const(3)
TEXT_TEMPORARY_WRAP = const(4)

# File transfer: what FTSTAT says of the file, and what its action byte asks for.
FT_PROCEED = const(0)
FT_PROCESSED = const(1)
FT_RESTARTING = const(2)
FT_FINISHING = const(3)
FT_ABORT = const(-1)
FT_UNKNOWN = const(-2)
FT_MALFORMED = const(-3)
FT_INTERLEAVE = const(0x01)
# File types and manufacturer's commands between our own ends. The prefix is a locally administered one: the project has
# no IEEE assignment.
VENDOR = b"\x02\x5a\x41"
FILE_OFFLINE_CACHE = const(0x80)
MFG_SET_TIME = const(1)

CARD_RAW = const(0)
CARD_WIEGAND = const(1)

KEY_CLEAR = const(0x7F)  # "*" on the keypad
KEY_ENTER = const(0x0D)  # "#" on the keypad

BROADCAST = const(0x7F)
MAX_FRAME_BYTES = const(256)  # from start-of-message to checksum; what a small device must be able to hold
OFFLINE_AFTER_MS = const(8000)  # a device that heard nothing for so long has no session any more
