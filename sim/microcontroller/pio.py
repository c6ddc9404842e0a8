"""The RP2's PIO: an assembler for MicroPython's @asm_pio, and one state machine that executes what it made.

Encoding and behaviour as in the RP2040 datasheet, chapter 3 (PIO). What no program here uses is refused, not guessed:
side-set, IRQ, WAIT, OUT to pins, autopull.
"""

MAX_INSTRUCTIONS = 32
FIFO_WORDS = 8  # both FIFOs joined
_WORD = 0xFFFFFFFF
_JMP, _IN, _OUT, _PUSH_PULL, _MOV, _SET = 0, 2, 3, 4, 5, 7
_NAMES = {
    "pins": 0, "x": 1, "y": 2, "null": 3, "isr": 6, "osr": 7,
    "not_x": 1, "x_dec": 2, "not_y": 3, "y_dec": 4, "x_not_y": 5,
    "noblock": 1, "block": 0x21, "iffull": 0x40,
}  # fmt: skip


class PioError(Exception):
    """A program that does not fit, or that does what this model does not know."""


class Program:
    """What @asm_pio leaves: `words` of 16 bits, first and last instruction of the loop, the autopush threshold."""

    def __init__(self, words: list, wrap_target: int, wrap: int, push_thresh: int):
        if len(words) > MAX_INSTRUCTIONS:
            raise PioError("a program has at most 32 instructions, this one has " + str(len(words)))
        self.words = words
        self.wrap_target = wrap_target
        self.wrap = wrap
        self.push_thresh = push_thresh


class _Assembler:
    """Called by the program's own function, twice: labels first."""

    def __init__(self):
        self.words = []
        self.labels = {}
        self.first = 0
        self.last = None

    def __getitem__(self, delay: int):
        if not 0 <= delay <= 31:
            raise PioError("a delay is 0..31 cycles")
        self.words[-1] |= delay << 8
        return self

    def word(self, word: int):
        self.words.append(word)
        return self

    def nop(self):
        return self.mov(2, 2)

    def jmp(self, condition, label=None):
        if label is None:
            condition, label = 0, condition
        return self.word(_JMP << 13 | condition << 5 | self.labels.get(label, 0))

    def in_(self, source: int, bits: int):
        return self.word(_IN << 13 | source << 5 | bits & 31)

    def out(self, target: int, bits: int):
        return self.word(_OUT << 13 | target << 5 | bits & 31)

    def push(self, option: int = 0x21):
        return self.word(_PUSH_PULL << 13 | (0 if option & 0x20 == 0 else 0x20) | option & 0x40)

    def mov(self, target: int, source: int):
        return self.word(_MOV << 13 | target << 5 | source)

    def set(self, target: int, value: int):
        if not 0 <= value <= 31:
            raise PioError("SET takes 0..31")
        return self.word(_SET << 13 | target << 5 | value)

    def label(self, name: str) -> None:
        self.labels[name] = len(self.words)

    def wrap_target(self) -> None:
        self.first = len(self.words)

    def wrap(self) -> None:
        self.last = len(self.words) - 1


def assemble(function, push_thresh: int = 32) -> Program:
    """The program that `function` writes down. Its globals are the assembler's names while it runs, as on the board."""
    assembler = _Assembler()
    offered = dict(_NAMES)
    offered["invert"] = lambda source: source | 8
    offered["reverse"] = lambda source: source | 16
    for name in ("nop", "jmp", "in_", "out", "push", "mov", "set", "label", "wrap_target", "wrap"):
        offered[name] = getattr(assembler, name)
    names = function.__globals__
    before = dict(names)
    names.update(offered)
    try:
        function()
        assembler.words = []
        function()
    finally:
        for name in offered:
            if name in before:
                names[name] = before[name]
            else:
                del names[name]
    last = len(assembler.words) - 1 if assembler.last is None else assembler.last
    return Program(assembler.words, assembler.first, last, push_thresh & 31 or 32)


class StateMachine:
    """One state machine, ISR shifting left with autopush, OSR shifting right. `pins()` gives the input pins' levels,
    the base pin in bit 0. `fifo` holds what was pushed; `stalled` counts cycles lost to a full FIFO."""

    def __init__(self, program: Program, pins):
        self._program = program
        self._pins = pins
        self._at = 0
        self._wait = 0
        self._x = self._y = self._isr = self._isr_bits = self._osr = 0
        self.fifo = []
        self.stalled = 0

    def run(self, cycles: int) -> None:
        """So many cycles of its clock."""
        for _ in range(cycles):
            if self._wait:
                self._wait -= 1
            else:
                self._step()

    def _step(self) -> None:
        word = self._program.words[self._at]
        kind, field, low = word >> 13, word >> 5 & 7, word & 31
        following = self._program.wrap_target if self._at == self._program.wrap else self._at + 1
        if kind == _JMP:
            if self._condition(field):
                following = low
        elif kind == _IN:
            if not self._shift_in(self._value(field), low or 32):
                self.stalled += 1
                return
        elif kind == _OUT:
            bits = low or 32
            value = self._osr & (1 << bits) - 1
            self._osr >>= bits
            self._put(field, value)
        elif kind == _PUSH_PULL:
            self._push(word)
        elif kind == _MOV:
            self._move(field, low)
        elif kind == _SET:
            self._put(field, low)
        else:
            raise PioError("instruction " + hex(word) + " is not in this model")
        self._at = following
        self._wait = word >> 8 & 31

    def _condition(self, kind: int) -> bool:
        if kind == 0:
            return True
        if kind == 1:
            return self._x == 0
        if kind == 2:
            taken = self._x != 0
            self._x = self._x - 1 & _WORD
            return taken
        if kind == 3:
            return self._y == 0
        if kind == 4:
            taken = self._y != 0
            self._y = self._y - 1 & _WORD
            return taken
        if kind == 5:
            return self._x != self._y
        raise PioError("condition " + str(kind) + " is not in this model")

    def _value(self, source: int) -> int:
        values = {0: self._pins, 1: self._x, 2: self._y, 3: 0, 6: self._isr, 7: self._osr}
        if source not in values:
            raise PioError("source " + str(source) + " is not in this model")
        return values[source]() if source == 0 else values[source]

    def _put(self, target: int, value: int) -> None:
        if target == 1:
            self._x = value
        elif target == 2:
            self._y = value
        elif target == 6:
            self._isr, self._isr_bits = value, 0
        elif target == 7:
            self._osr = value
        elif target != 3:
            raise PioError("target " + str(target) + " is not in this model")

    def _move(self, target: int, source: int) -> None:
        value = self._value(source & 7)
        if source >> 3 == 1:
            value = ~value & _WORD
        elif source >> 3 == 2:
            value = sum([(value >> bit & 1) << 31 - bit for bit in range(32)])
        self._put(target, value)

    def _shift_in(self, value: int, bits: int) -> bool:
        """False where an autopush is due and the FIFO is full: the instruction is tried again."""
        due = self._isr_bits + bits >= self._program.push_thresh
        if due and len(self.fifo) >= FIFO_WORDS:
            return False
        self._isr = (self._isr << bits | value & (1 << bits) - 1) & _WORD
        self._isr_bits += bits
        if due:
            self._flush()
        return True

    def _push(self, word: int) -> None:
        if word & 0x80 or word & 0x20:
            raise PioError("PULL and a blocking PUSH are not in this model")
        if word & 0x40 and self._isr_bits < self._program.push_thresh:
            return
        self._flush()

    def _flush(self) -> None:
        if len(self.fifo) < FIFO_WORDS:
            self.fifo.append(self._isr)
        self._isr = self._isr_bits = 0
