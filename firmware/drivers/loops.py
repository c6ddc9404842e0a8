"""Supervised inputs: a contact with two resistors at the far end of its wire, read as a voltage. Pure.

    supply --[pull-up]--+-- input      at the contact: [series], then the contact with [parallel] across it
                        |
                        +---- wire ---- [series] ---- contact // [parallel] ---- ground

The voltage is a share of the supply, in permille, so that the supply's own tolerance cancels out: a short circuit reads
0, a closed contact series / (pull-up + series), an open one (series + parallel) / (pull-up + series + parallel), a cut
wire 1000. Bands and resistors are data of the board.
"""

SHORT = "short"
CLOSED = "closed"
OPEN = "open"
CUT = "cut"


class Bands:
    """Where one state ends and the next begins, in permille of the supply: short < closed < open < cut."""

    def __init__(self, closed_from: int, open_from: int, cut_from: int):
        """Raises ValueError where the borders do not rise within 1..1000."""
        if not 0 < closed_from < open_from < cut_from <= 1000:
            raise ValueError("bands: expected rising borders within 1..1000")
        self._borders = (closed_from, open_from, cut_from)

    def state(self, permille: int) -> str:
        """SHORT, CLOSED, OPEN or CUT. Every value has one: there is no band of "unknown"."""
        closed_from, open_from, cut_from = self._borders
        if permille < closed_from:
            return SHORT
        if permille < open_from:
            return CLOSED
        return OPEN if permille < cut_from else CUT


# What a damaged wire counts as, by input: the electrical level that is told instead (1 = open). Contact: a door that is
# not known to be closed is open. Rex: a damaged wire lets nobody in. Fire: a cut wire releases, as it does without
# supervision; a short circuit is a fault that somebody must mend, and no alarm looks like it.
_DAMAGED = {"contact": {SHORT: 1, CUT: 1}, "rex": {SHORT: 1, CUT: 1}, "fire": {SHORT: 0, CUT: 1}}
SUPERVISED = tuple(_DAMAGED)


class SupervisedInput:
    """One loop. `level` is what the contact says (0 closed, 1 open), `fault` SHORT, CUT or None."""

    def __init__(self, name: str, bands: Bands):
        """`name` is one of SUPERVISED; anything else raises KeyError."""
        self._damaged = _DAMAGED[name]
        self._bands = bands
        self._samples = []
        self.name = name
        self.level = 1  # open, until a reading says otherwise
        self.fault = None

    def sample(self, permille: int) -> None:
        """A new reading; the middle one of the last three counts, so that one disturbed reading changes nothing."""
        self._samples.append(permille)
        if len(self._samples) > 3:
            self._samples.pop(0)
        state = self._bands.state(sorted(self._samples)[len(self._samples) // 2])
        self.fault = state if state in (SHORT, CUT) else None
        if state == CLOSED:
            self.level = 0
        elif state == OPEN:
            self.level = 1
        else:
            self.level = self._damaged[state]
