"""One MQTT 3.1.1 connection, driven by the event loop: paho does the protocol, asyncio watches its socket. With TLS.

The only place that uses paho in our processes (docs/adr/0004-one-mqtt-connection.md). A connection is used once: a new
one starts with a new paho client, so nothing that paho had queued is ever sent behind our back. Everything runs on the
loop; only name look-up, TCP connect and TLS handshake run in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from runtime.errors import UserError

KEEPALIVE_S = 30
HANDSHAKE_TIMEOUT_S = 10.0
STALL_S = 60.0
_TCP_TIMEOUT_S = 5.0
_MISC_INTERVAL_S = 1.0
_PACKETS_AT_ONCE = 64  # then the loop's other work has its turn
DEFAULT_IN_FLIGHT = 200
_REFUSED = ("Not authorized", "Bad user name or password", "Client identifier not valid")
# Our own broker says the same of a wrong password and of its being busy or not quite started: who is refused for so
# long, and never let in between, is meant.
REFUSED_FOR_S = 300.0


class MqttError(UserError):
    """The broker cannot be reached or ended the connection; the text says why. Trying again may help."""


class NotLetInError(MqttError):
    """The broker refuses this user or its certificate, or could not look in time: after REFUSED_FOR_S it is meant."""


class NotSubscribedError(MqttError):
    """The broker does not grant a subscription."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Whose certificates are believed, and our own. Files in PEM."""

    ca_file: Path
    certificate_file: Path
    key_file: Path


@dataclass(frozen=True, slots=True)
class Access:
    """Where the broker is and who we are there. `client_id` and `password` are secrets.

    A client id `USER/...` belongs to that user at our brokers: nobody else can end the connection by using it. It is
    made so from `username`; where a certificate says who we are, `client_id` has to begin so itself.

    Without `tls` the password travels in clear: loopback only. With it the certificate says who we are.
    """

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = None
    tls: Tls | None = None

    @property
    def session(self) -> str:
        """The client id as the broker sees it."""
        return self.client_id if self.username is None else f"{self.username}/{self.client_id}"


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes (retained) where the connection ends without a goodbye."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it came. `retained`: kept by the broker from before this subscription."""

    topic: str
    payload: bytes
    packet_id: int
    qos: int
    retained: bool


@dataclass(frozen=True, slots=True)
class Manner:
    """How a connection behaves. `confirm_by_hand`: a message is confirmed (PUBACK) by `confirm` only; `hear_once`:
    messages come at most once (QoS 0), for whoever is told again anyway. `rest_s`: after reading what was there, the
    socket is left alone for so long, so that a busy connection costs one wake-up for many packets."""

    keep_session: bool = False
    hear_once: bool = False
    rest_s: float = 0.0
    confirm_by_hand: bool = False
    in_flight: int = DEFAULT_IN_FLIGHT


class Connection:
    """Made by `open`; `closed` resolves to the reason once it has ended."""

    def __init__(
        self, access: Access, will: Will | None, on_message: Callable[[Arrived], None], manner: Manner
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._access = access
        self._on_message = on_message
        self._rest_s = manner.rest_s
        self._resting: asyncio.TimerHandle | None = None
        self._qos_heard = 0 if manner.hear_once else 1
        self._awaits_room = False  # the socket took no more; the loop says when it does
        self._connack: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._suback: asyncio.Future[list[ReasonCode]] = self._loop.create_future()
        self.closed: asyncio.Future[str] = self._loop.create_future()
        self.unconfirmed = 0  # publishes without a PUBACK; says nothing of what the receiver has
        self.session_present = False
        self._progress_s = 0.0
        self._packets = 0
        self._misc: asyncio.TimerHandle | None = None
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=access.session,
            clean_session=not manner.keep_session,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=manner.confirm_by_hand,
        )
        if access.username is not None:
            client.username_pw_set(access.username, access.password)
        if access.tls is not None:
            client.tls_set_context(tls_context(access.tls))
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.connect_timeout = _TCP_TIMEOUT_S
        client.max_inflight_messages_set(manner.in_flight)
        client.max_queued_messages_set(manner.in_flight)  # paho counts those in flight as queued
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._arrived
        client.on_publish = self._confirmed

    @classmethod
    async def open(
        cls,
        access: Access,
        filters: Sequence[str],
        on_message: Callable[[Arrived], None],
        will: Will | None = None,
        manner: Manner | None = None,
    ) -> Connection:
        """Connected and subscribed to `filters`. Raises MqttError."""
        connection = cls(access, will, on_message, manner or Manner())
        try:
            await connection._open(filters)
        except BaseException:
            connection._abort("not opened")
            raise
        return connection

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand to the broker with QoS 1. False where the connection has ended or too much is unconfirmed."""
        if self.closed.done():
            return False
        if self._client.publish(topic, payload, qos=1, retain=retain).rc != mqtt.MQTT_ERR_SUCCESS:
            return False
        if not self.unconfirmed:
            self._progress_s = self._loop.time()
        self.unconfirmed += 1
        self._write_rest()
        return True

    def confirm(self, message: Arrived) -> None:
        """PUBACK of a message that came on this connection, where it is confirmed by hand."""
        if not self.closed.done():
            self._client.ack(message.packet_id, message.qos)
            self._write_rest()

    @property
    def stalled(self) -> bool:
        """The broker takes what we send and has confirmed nothing for STALL_S, e.g. because its disk is full."""
        return self.unconfirmed > 0 and self._loop.time() > self._progress_s + STALL_S

    async def close(self) -> None:
        """Say goodbye (no last will is sent) and end the connection."""
        if not self.closed.done():
            self._client.disconnect()
            self._client.loop_write()
        self._abort("closed")

    async def _open(self, filters: Sequence[str]) -> None:
        access, where = self._access, f"{self._access.host}:{self._access.port}"
        try:
            await asyncio.to_thread(self._client.connect, access.host, access.port, KEEPALIVE_S)
        except ssl.SSLCertVerificationError as e:
            raise MqttError(
                f"the broker at {where} shows a certificate that is not believed ({e.verify_message});"
                " check tls_ca_file and the names in the broker's certificate"
            ) from None
        except ValueError as e:  # paho: a host name that cannot be one
            raise MqttError(f"the broker at {where} cannot be reached ({e})") from None
        except OSError as e:
            raise MqttError(f"the broker at {where} cannot be reached ({e.strerror or e})") from None
        self._watch()
        try:
            reason = await asyncio.wait_for(self._connack, HANDSHAKE_TIMEOUT_S)
            if reason.is_failure:
                self._not_let_in(reason, where)
            if not filters:
                return
            self._client.subscribe([(one, self._qos_heard) for one in filters])
            self._write_rest()
            granted = await asyncio.wait_for(self._suback, HANDSHAKE_TIMEOUT_S)
        except TimeoutError:
            raise MqttError(f"the broker at {where} did not answer in {HANDSHAKE_TIMEOUT_S:.0f} s") from None
        if refused := [one for one, reason in zip(filters, granted, strict=False) if reason.is_failure]:
            raise NotSubscribedError(
                f"the broker at {where} does not let {self._who()} subscribe to {refused[0]!r}; "
                "check district, site, gateway and role against the broker's users"
            )

    def _not_let_in(self, reason: ReasonCode, where: str) -> None:
        kind = NotLetInError if str(reason) in _REFUSED else MqttError
        check = "its certificate" if self._access.tls else "username and password"
        raise kind(
            f"the broker at {where} refused {self._who()} ({reason}), or was not ready; check {check} against the users"
            " file if it goes on"
        )

    def _who(self) -> str:
        return "this certificate" if self._access.tls else repr(self._access.username)

    # --- the socket ----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        watched = self._client.socket()
        if watched is None:
            raise MqttError("the broker closed the connection at once")
        client, loop = self._client, self._loop
        if isinstance(watched, socket.socket):  # a message must not wait for the acknowledgement of the one before it
            watched.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Without paho's on_socket_register_write it writes at once, and the loop is asked only for what is left over: a
        # turn of the loop and two system calls less a message.
        client.on_socket_close = lambda _, __, sock: self._unwatch(sock)
        loop.add_reader(watched, self._readable)
        self._write_rest()
        self._tick()

    def _write_rest(self) -> None:
        """Have the loop write what paho could not write at once (what is said within a callback, or a full socket)."""
        if self._awaits_room or not self._client.want_write():
            return
        watched = self._client.socket()
        if watched is not None:
            self._awaits_room = True
            self._loop.add_writer(watched, self._writable)

    def _writable(self) -> None:
        self._client.loop_write()
        watched = self._client.socket()
        if watched is not None and not self._client.want_write():
            self._awaits_room = False
            self._loop.remove_writer(watched)

    def _readable(self) -> None:
        """Read packets for as long as there are some: one a turn of the loop would cost more than the packet."""
        more = self._read()
        self._write_rest()  # confirmations, and what was published in answer
        watched = self._client.socket()
        if more:
            self._loop.call_soon(self._readable)
        elif self._rest_s and watched is not None and self._connack.done() and self._resting is None:
            self._loop.remove_reader(watched)
            self._resting = self._loop.call_later(self._rest_s, self._read_again)

    def _read_again(self) -> None:
        self._resting = None
        watched = self._client.socket()
        if watched is not None:
            self._loop.add_reader(watched, self._readable)

    def _read(self) -> bool:
        """Whether there may be more to read at once."""
        for _ in range(_PACKETS_AT_ONCE):
            before = self._packets
            self._client.loop_read()
            watched = self._client.socket()
            if watched is None:
                return False
            # What TLS has decrypted already makes no descriptor readable: nobody would come back for it.
            waiting = isinstance(watched, ssl.SSLSocket) and watched.pending() > 0
            if self._packets == before and not waiting:
                return False
        return True

    def _unwatch(self, sock: Any) -> None:
        with contextlib.suppress(OSError, ValueError):  # the descriptor may be gone already
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)

    def _tick(self) -> None:
        """Keep-alive: paho pings, and notices a broker that does not answer."""
        self._client.loop_misc()
        self._write_rest()
        if not self.closed.done():
            self._misc = self._loop.call_later(_MISC_INTERVAL_S, self._tick)

    def _abort(self, why: str) -> None:
        if self._misc is not None:
            self._misc.cancel()
        if self._resting is not None:
            self._resting.cancel()
        client, left = self._client, self._client.socket()
        client.on_socket_close = None
        if isinstance(left, socket.socket):
            self._unwatch(left)
            left.close()
        self._end(why)

    def _end(self, why: str) -> None:
        if not self.closed.done():
            self.closed.set_result(why)
        for waiting in (self._connack, self._suback):
            if not waiting.done():
                waiting.set_exception(self._ended_early(why))
                waiting.exception()  # looked at, so that nobody is told of an error nobody waits for

    def _ended_early(self, why: str) -> MqttError:
        if self._access.tls is not None and not self._connack.done():  # TLS 1.3 learns of a refusal only now
            return MqttError(f"the broker ended the connection ({why}); does it believe our certificate?")
        return MqttError(f"the broker ended the connection ({why})")

    # --- what paho says ------------------------------------------------------------------------------------------

    def _connected(self, _: Any, __: Any, flags: mqtt.ConnectFlags, reason: ReasonCode, ___: Any) -> None:
        self._packets += 1
        self.session_present = flags.session_present
        if not self._connack.done():
            self._connack.set_result(reason)

    def _subscribed(self, _: Any, __: Any, ___: Any, reasons: list[ReasonCode], ____: Any) -> None:
        self._packets += 1
        if not self._suback.done():
            self._suback.set_result(reasons)

    def _disconnected(self, _: Any, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        self._end(str(reason))

    def _confirmed(self, _: Any, __: Any, ___: int, ____: ReasonCode, _____: Any) -> None:
        self._packets += 1
        self.unconfirmed -= 1
        self._progress_s = self._loop.time()

    def _arrived(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        self._packets += 1
        try:
            topic = message.topic
        except UnicodeDecodeError:  # paho keeps bytes and decodes them here; no topic of ours
            topic = ""
        self._on_message(Arrived(topic, bytes(message.payload), message.mid, message.qos, message.retain))


def tls_context(tls: Tls) -> ssl.SSLContext:
    """For the side that connects. Raises MqttError that names the file."""
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(tls.ca_file))
    except OSError as e:
        raise MqttError(f"{tls.ca_file}: not a certificate of an authority ({e.strerror or e}); check it") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    except OSError as e:  # ssl.SSLError is one
        raise MqttError(
            f"{tls.certificate_file}, {tls.key_file}: not a certificate and its key ({e.strerror or e}); make them anew"
        ) from None
    return context
