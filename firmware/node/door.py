"""A door node: card reader and keypad, contact, request-to-exit, fire loop, tamper, lock relay, light and buzzer.

Levels, cards, keys and commands come in as calls, each with `now_ms` (a monotonic integer); what is to be done with
pins leaves through `effects`. The lock is at rest (locked) when the node starts and after every pulse, unless fire has
released it: from the first sign of fire until the reset the relay stays energised, whatever else happens. The release
of somebody who leaves is a pulse of its own, which no command of the control panel ends.
"""

from firmware.node.events import EventQueue
from firmware.node.inputs import DebouncedInput
from firmware.node.outputs import Light, PulsedOutput
from firmware.wire import codes
from firmware.wire.replies import MAX_CARD_BITS, MAX_KEYS, Inputs, Keys, LocalStatus, Outputs, RawCard

CONTACT = 0  # OSDP input numbers
REX = 1
FIRE = 2
FIRE_LATCHED = 3
SENSORS = ("smoke", "pir", "water", "panic")  # inputs 4 to 7, where a node has any of them
ALARMS = ("fire", "smoke", "water", "panic")  # told even where the queue is full of other things
LOCK = 0  # OSDP output numbers
FIRE_RELEASE = 1
CONTACT_STABLE_MS = 40
REX_STABLE_MS = 20
TAMPER_STABLE_MS = 100
SENSOR_STABLE_MS = 100
# Longer than a relay's contacts chatter, much shorter than anybody notices.
FIRE_STABLE_MS = 20
# A dip that the standby supply bridges is no news.
MAINS_STABLE_MS = 1000
# Leaving does not wait for a control panel (a dead bus must not keep anybody in): the node releases its own lock.
REX_RELEASE_MS = 5000
MAX_PULSE_MS = 600000  # a longer release is a mistake, not a wish
_COLOURS = (codes.BLACK, codes.RED, codes.GREEN, codes.AMBER)
_KEYPAD = {"*": codes.KEY_CLEAR, "#": codes.KEY_ENTER}


class DoorNode:
    """The state of one door. Refusals of commands are codes.NAK_* numbers, 0 where the command was done."""

    # Function, compliance, number: contacts, outputs, card bits as they came, LED (red, green, amber), buzzer,
    # CRC only, AES-128 with a key of its own, receive buffer. From the capability table of OSDP v2.
    capabilities = [
        (1, 1, 4),
        (2, 2, 2),
        (3, 1, 0),
        (4, 4, 1),
        (5, 2, 1),
        (8, 1, 0),
        (9, 1, 0),
        (10, codes.MAX_FRAME_BYTES & 0xFF, codes.MAX_FRAME_BYTES >> 8),
    ]

    def __init__(
        self,
        rex_release_ms: int = REX_RELEASE_MS,
        fire_loop: bool = False,
        latched: bool = False,
        mains_contact: bool = False,
        sensors: tuple = (),
    ):
        """`fire_loop`: the fire panel's contact is wired to this node. `latched`: fire had released the lock when the
        node last ran, and nobody has reset it since. `mains_contact`: the supply's contact is wired to this node.
        `sensors`: names out of SENSORS that are wired to it, each a contact closed at rest; a cut wire is an alarm."""
        self.events = EventQueue()
        self._rex_release_ms = rex_release_ms
        self._contact = DebouncedInput("contact", 1, CONTACT_STABLE_MS)  # pull-up: an open circuit is an open door
        self._rex = DebouncedInput("rex", 0, REX_STABLE_MS)
        self._tamper = DebouncedInput("tamper", 0, TAMPER_STABLE_MS)
        # Closed at rest: the panel's alarm, a cut wire and a panel without power look the same, and all release.
        self._fire = DebouncedInput("fire", 1, FIRE_STABLE_MS, False)
        # Closed while the supply has its mains; open on battery, and where the wire is cut.
        self._battery = DebouncedInput("mains", 1, MAINS_STABLE_MS)
        self._inputs = {"contact": self._contact, "rex": self._rex, "tamper": self._tamper}
        if fire_loop:
            self._inputs["fire"] = self._fire
        if mains_contact:
            self._inputs["mains"] = self._battery
        self._sensors = [DebouncedInput(name, 1, SENSOR_STABLE_MS) for name in SENSORS] if sensors else []
        for source in self._sensors:
            if source.name in sensors:
                self._inputs[source.name] = source
        if sensors:
            self.capabilities = self.capabilities[:]
            self.capabilities[0] = (1, 1, 4 + len(SENSORS))
        self._lock = PulsedOutput()
        self._exit = PulsedOutput()  # the same relay, for whoever leaves
        self._light = Light()
        self._latched = latched
        self._shown = self._showing()
        self._effects = []
        self._retell = False
        self.refused = 0  # cards and keys that made no sense

    # --- what the pins saw

    def level(self, pin: str, value: int, now_ms: int) -> bool:
        """An input pin's electrical level. False where there is no such input."""
        source = self._inputs.get(pin)
        if source is None:
            return False
        if source.level(value, now_ms) and source.active:
            self._changed(source, now_ms)
        return True

    def card(self, bits: int, data: bytes, now_ms: int) -> None:
        """A card's bits, first bit in the top of data[0]."""
        if 1 <= bits <= MAX_CARD_BITS and len(data) == (bits + 7) // 8:
            self.events.push(RawCard(0, codes.CARD_WIEGAND, bits, data), now_ms)
        else:
            self.refused += 1

    def keys(self, text: str, now_ms: int) -> None:
        """Keys pressed, `0`-`9`, `*` and `#`."""
        keys = [_KEYPAD.get(key) or ord(key) for key in text if key in "0123456789*#"]
        if keys and len(keys) <= MAX_KEYS and len(keys) == len(text):
            self.events.push(Keys(0, bytes(keys)), now_ms)
        else:
            self.refused += 1

    def tick(self, now_ms: int) -> None:
        """Let time pass: debounce, end pulses."""
        for source in self._inputs.values():
            if source.settle(now_ms):
                self._changed(source, now_ms)
        self._settle(now_ms)

    def due_ms(self):
        """The next moment at which `tick` does something, or None."""
        moments = [x.due_ms() for x in self._inputs.values()]
        moments.append(self._lock.due_ms())
        moments.append(self._exit.due_ms())
        moments.append(self._light.due_ms())
        moments = [moment for moment in moments if moment is not None]
        return min(moments) if moments else None

    def effects(self) -> list:
        """What to do since the last call, in order: ("relay", 0|1), ("latch", 0|1), ("led", colour), ("buzzer", n).

        "latch" is to be kept where it survives a restart, and given back to the constructor.
        """
        effects = self._effects
        self._effects = []
        return effects

    def present(self) -> list:
        """The same, for pins that have just come (back): what they should show now."""
        return [(name, self._shown[name]) for name in ("relay", "led")]

    # --- what the control panel asks

    def poll(self, now_ms: int):
        """The event to tell now, or None for nothing new."""
        expired = self.events.expired
        event = self.events.take(now_ms)
        if self.events.expired != expired:
            self._retell = True  # the panel may have missed a change: tell it how things are
        if event is None and self._retell:
            self._retell = False
            self.events.push(self.input_states(), now_ms)
            self.events.push(self.local_status(), now_ms)
            event = self.events.take(now_ms)
        return event

    def session_began(self) -> None:
        """States that wait since an earlier session are history: a fire that is over must not be told as one. The panel
        is told how things are now."""
        for code in (Inputs.code, LocalStatus.code):
            if self.events.drop(code):
                self._retell = True

    def input_states(self) -> Inputs:
        states = (self._contact.active, self._rex.active, self._fire.active, self._latched)
        return Inputs(states + tuple([source.active for source in self._sensors]))

    def output_states(self) -> Outputs:
        return Outputs((self._released(), self._latched))

    def local_status(self) -> LocalStatus:
        return LocalStatus(self._tamper.active, self._battery.active)

    def output(self, outputs: list, now_ms: int) -> int:
        """Carry out output commands, all or none.

        The lock knows timed release and rest only: apart from fire, no command leaves a door open. The fire release
        knows on and off, and is not reset while the loop says fire.
        """
        for output in outputs:
            if not self._possible(output):
                return codes.NAK_RECORD
        for output in outputs:
            if output.number == FIRE_RELEASE:
                if output.control != codes.OUT_NOP:
                    self._latch(output.control == codes.OUT_ON, now_ms)
            elif output.control == codes.OUT_OFF:
                self._lock.rest()
            elif output.control == codes.OUT_TIMED_ON:
                self._lock.pulse(output.timer * codes.TIMER_UNIT_MS, now_ms)
        self._settle(now_ms)
        return 0

    def led(self, leds: list, now_ms: int) -> int:
        """Carry out LED commands, all or none. Blinking is shown as steady in its "on" colour."""
        for led in leds:
            if led.reader or led.led or led.temporary[2] not in _COLOURS or led.permanent[2] not in _COLOURS:
                return codes.NAK_RECORD
        for led in leds:
            if led.permanent_control == codes.LED_SET_PERMANENT:
                self._light.show(led.permanent[2])
            if led.temporary_control == codes.LED_CANCEL_TEMPORARY:
                self._light.cancel()
            elif led.temporary_control == codes.LED_SET_TEMPORARY:
                self._light.show_for(led.temporary[2], led.timer * codes.TIMER_UNIT_MS, now_ms)
        self._settle(now_ms)
        return 0

    def buzzer(self, buzzer) -> int:
        """Sound the buzzer."""
        if buzzer.reader:
            return codes.NAK_RECORD
        if buzzer.tone >= codes.TONE_DEFAULT:
            self._effects.append(("buzzer", buzzer.count))
        return 0

    # ---

    def _possible(self, output) -> bool:
        if output.number == FIRE_RELEASE:
            if output.control == codes.OUT_OFF:
                return not self._fire.active
            return output.control in (codes.OUT_NOP, codes.OUT_ON)
        if output.number != LOCK:
            return False
        if output.control == codes.OUT_TIMED_ON:
            return 0 < output.timer * codes.TIMER_UNIT_MS <= MAX_PULSE_MS
        return output.control in (codes.OUT_NOP, codes.OUT_OFF)

    def _latch(self, on: bool, now_ms: int) -> None:
        if self._latched == on:
            return
        self._latched = on
        self._settle(now_ms)
        self._tell(self.input_states(), now_ms, True)

    def _changed(self, source: DebouncedInput, now_ms: int) -> None:
        if source is self._fire:
            self._latched = self._latched or source.active
            self._settle(now_ms)
        elif source is self._rex and source.active and self._rex_release_ms:
            self._exit.pulse(self._rex_release_ms, now_ms)
            self._settle(now_ms)
        own = source is self._tamper or source is self._battery
        self._tell(self.local_status() if own else self.input_states(), now_ms, source.name in ALARMS)

    def _tell(self, message, now_ms: int, vital: bool) -> None:
        if not self.events.push(message, now_ms, vital):
            self._retell = True

    def _settle(self, now_ms: int) -> None:
        self._lock.settle(now_ms)
        self._exit.settle(now_ms)
        self._light.settle(now_ms)
        showing = self._showing()
        for name in ("relay", "latch", "led"):  # the lock first: remembering may take its time
            if self._shown[name] != showing[name]:
                self._shown[name] = showing[name]
                self._effects.append((name, showing[name]))

    def _released(self) -> bool:
        return self._lock.driven or self._exit.driven or self._latched

    def _showing(self) -> dict:
        return {
            "relay": 1 if self._released() else 0,
            "latch": 1 if self._latched else 0,
            "led": codes.GREEN if self._latched else self._light.colour,
        }
