"""One MQTT 3.1.1 connection, driven by the event loop: paho does the protocol, asyncio watches its socket.

A connection is used once. A new one starts with a new paho client, so nothing that paho had queued is ever sent behind
our back: the outbox is the only store. All callbacks run on the loop; only the TCP connect runs in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from gateway.errors import GatewayError

KEEPALIVE_S = 30
HANDSHAKE_TIMEOUT_S = 10.0
STALL_S = 60.0
_TCP_TIMEOUT_S = 5.0
_MISC_INTERVAL_S = 1.0
MAX_PUBLISHES_IN_FLIGHT = 200  # well above the window; beyond it `publish` says no


class ConnectionFailedError(GatewayError):
    """The broker cannot be reached or refused us; the text says which."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where the broker is and who we are there. `client_id` and `password` are secrets."""

    host: str
    port: int
    client_id: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes (retained) where the connection ends without a goodbye."""

    topic: str
    payload: bytes


class Connection:
    """Made by `open`; `closed` resolves to the reason once it has ended."""

    def __init__(self, access: Access, will: Will, on_message: Callable[[str, bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._access = access
        self._on_message = on_message
        self._connack: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._suback: asyncio.Future[list[ReasonCode]] = self._loop.create_future()
        self.closed: asyncio.Future[str] = self._loop.create_future()
        self.unconfirmed = 0  # publishes without a PUBACK; says nothing of what the center has
        self._progress_s = 0.0
        self._misc: asyncio.TimerHandle | None = None
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=access.client_id,
            clean_session=True,  # every connection subscribes anew and sends again what was not acknowledged
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        client.username_pw_set(access.username, access.password)
        client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.connect_timeout = _TCP_TIMEOUT_S
        client.max_inflight_messages_set(MAX_PUBLISHES_IN_FLIGHT)
        client.max_queued_messages_set(MAX_PUBLISHES_IN_FLIGHT)  # paho counts those in flight as queued
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._arrived
        client.on_publish = self._confirmed

    @classmethod
    async def open(
        cls, access: Access, will: Will, filters: Sequence[str], on_message: Callable[[str, bytes], None]
    ) -> Connection:
        """Connected and subscribed to `filters`. Raises ConnectionFailedError."""
        connection = cls(access, will, on_message)
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
        return True

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
        where = f"{self._access.host}:{self._access.port}"
        try:
            await asyncio.to_thread(self._client.connect, self._access.host, self._access.port, KEEPALIVE_S)
        except OSError as e:
            raise ConnectionFailedError(f"the broker at {where} cannot be reached ({e.strerror or e})") from None
        self._watch()
        try:
            reason = await asyncio.wait_for(self._connack, HANDSHAKE_TIMEOUT_S)
            if reason.is_failure:
                raise ConnectionFailedError(
                    f"the broker at {where} refused {self._access.username!r} ({reason}); check username and password"
                )
            self._client.subscribe([(one, 1) for one in filters])
            granted = await asyncio.wait_for(self._suback, HANDSHAKE_TIMEOUT_S)
        except TimeoutError:
            raise ConnectionFailedError(
                f"the broker at {where} did not answer in {HANDSHAKE_TIMEOUT_S:.0f} s"
            ) from None
        if any(reason.is_failure for reason in granted):
            raise ConnectionFailedError(
                f"the broker at {where} does not let {self._access.username!r} subscribe to {list(filters)}; "
                "check district, site and gateway against the broker's users"
            )

    # --- the socket ----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        watched = self._client.socket()
        if watched is None:
            raise ConnectionFailedError("the broker closed the connection at once")
        client, loop = self._client, self._loop
        if isinstance(watched, socket.socket):  # an event must not wait for the acknowledgement of the one before it
            watched.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.on_socket_register_write = lambda _, __, sock: loop.add_writer(sock, client.loop_write)
        client.on_socket_unregister_write = lambda _, __, sock: self._unwatch_writing(sock)
        client.on_socket_close = lambda _, __, sock: self._unwatch(sock)
        loop.add_reader(watched, client.loop_read)
        if client.want_write():
            loop.add_writer(watched, client.loop_write)
        self._tick()

    def _unwatch_writing(self, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _unwatch(self, sock: Any) -> None:
        with contextlib.suppress(OSError, ValueError):  # the descriptor may be gone already
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)

    def _tick(self) -> None:
        """Keep-alive: paho pings, and notices a broker that does not answer."""
        self._client.loop_misc()
        if not self.closed.done():
            self._misc = self._loop.call_later(_MISC_INTERVAL_S, self._tick)

    def _abort(self, why: str) -> None:
        if self._misc is not None:
            self._misc.cancel()
        client, left = self._client, self._client.socket()
        client.on_socket_register_write = client.on_socket_unregister_write = client.on_socket_close = None
        if isinstance(left, socket.socket):
            self._unwatch(left)
            left.close()
        self._end(why)

    def _end(self, why: str) -> None:
        if not self.closed.done():
            self.closed.set_result(why)
        for waiting in (self._connack, self._suback):
            if not waiting.done():
                waiting.set_exception(ConnectionFailedError(f"the broker ended the connection ({why})"))
                waiting.exception()  # looked at, so that nobody is told of an error nobody waits for

    # --- what paho says ------------------------------------------------------------------------------------------

    def _connected(self, _: Any, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        if not self._connack.done():
            self._connack.set_result(reason)

    def _subscribed(self, _: Any, __: Any, ___: Any, reasons: list[ReasonCode], ____: Any) -> None:
        if not self._suback.done():
            self._suback.set_result(reasons)

    def _disconnected(self, _: Any, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        self._end(str(reason))

    def _confirmed(self, _: Any, __: Any, ___: int, ____: ReasonCode, _____: Any) -> None:
        self.unconfirmed -= 1
        self._progress_s = self._loop.time()

    def _arrived(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:  # paho keeps bytes and decodes them here
            return
        self._on_message(topic, bytes(message.payload))
