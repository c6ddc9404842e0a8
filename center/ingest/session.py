"""Ingest's connection to the broker: a persistent MQTT 3.1.1 session, re-made for as long as the process lives.

paho's own thread reads the socket; messages go to the inbox, the rest of the center only calls `publish` and `confirm`.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from center.ingest.inbox import Inbox, Message
from runtime import log

KEEPALIVE_S = 30
RECONNECT_MIN_S = 1
RECONNECT_MAX_S = 30
SUBSCRIBE_TRIES = 3
SUBSCRIBE_AGAIN_S = 2.0
MAX_UNCONFIRMED_PUBLISHES = 1000  # acknowledgements on the way; beyond it they are dropped and made again later
_logger = log.get("ingest")


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """Where the broker is and who we are there. `client_id` is a secret."""

    host: str
    port: int
    username: str
    password: str
    client_id: str


class Session:
    """Subscribed to `filters` whenever it is connected. `refused` resolves where trying again is pointless."""

    def __init__(self, access: BrokerAccess, filters: Sequence[str], inbox: Inbox) -> None:
        self._loop = asyncio.get_running_loop()
        self.refused: asyncio.Future[str] = self._loop.create_future()
        self._subscriptions_refused = 0
        self._access = access
        self._filters = [(one, 1) for one in filters]
        self._inbox = inbox
        self._connection = 0
        self._ready = False
        self._stopping = False
        self._said_not_reached = False
        self._lock = threading.Lock()
        self.overflowed = 0
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=access.client_id,
            clean_session=False,
            protocol=mqtt.MQTTv311,
            manual_ack=True,
        )
        client.username_pw_set(access.username, access.password)
        client.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)
        client.max_inflight_messages_set(MAX_UNCONFIRMED_PUBLISHES)
        client.max_queued_messages_set(MAX_UNCONFIRMED_PUBLISHES)
        client.on_socket_open = self._opened
        client.on_connect = self._connected
        client.on_connect_fail = self._not_reached
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._arrived

    @property
    def ready(self) -> bool:
        """Connected, and the broker has granted every subscription."""
        return self._ready

    def start(self) -> None:
        """Begin to connect, in paho's thread."""
        self._client.connect_async(self._access.host, self._access.port, KEEPALIVE_S)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect and end paho's thread. Blocks for up to a second."""
        self._stopping = True
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send with QoS 1 if connected; False where it was not sent. Nothing is kept for later."""
        if not self._ready:
            return False
        return self._client.publish(topic, payload, qos=1).rc == mqtt.MQTT_ERR_SUCCESS

    def confirm(self, message: Message) -> None:
        """PUBACK. Dropped where the connection it came on is gone: a packet id means nothing on another one."""
        with self._lock:
            if message.connection == self._connection:
                self._client.ack(message.packet_id, message.qos)

    # --- paho's thread -------------------------------------------------------------------------------------------

    def _opened(self, _: mqtt.Client, __: Any, opened: Any) -> None:
        # Without it an acknowledgement waits up to 40 ms for the broker's TCP to confirm the PUBACK before it.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _not_reached(self, _: mqtt.Client, __: Any) -> None:
        if not self._said_not_reached:
            self._said_not_reached = True
            _logger.warning("no broker yet; trying again", host=self._access.host, port=self._access.port)

    def _connected(self, _: Any, __: Any, flags: mqtt.ConnectFlags, reason: ReasonCode, ___: Any) -> None:
        if reason.is_failure:
            _logger.warning("the broker refused ingest", reason=str(reason))
            if reason in ("Not authorized", "Bad user name or password", "Client identifier not valid"):
                self._give_up(f"the broker refused {self._access.username!r} ({reason}); check the users file")
            return
        self._said_not_reached = False
        with self._lock:
            self._connection += 1
        # Always: a broker that lost its disk says so only by `session_present`, and paho would not subscribe again.
        self._subscribe()
        _logger.info("connected", session_present=flags.session_present)

    def _subscribe(self) -> None:
        self._client.subscribe(self._filters)

    def _subscribed(self, _: mqtt.Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        if refused := [f for (f, _), reason in zip(self._filters, reasons, strict=False) if reason.is_failure]:
            # A broker that has just started may not be able to yet; one that means it says so again.
            self._subscriptions_refused += 1
            if self._subscriptions_refused >= SUBSCRIBE_TRIES:
                self._give_up(f"the broker does not let {self._access.username!r} subscribe to {refused[0]!r}")
            else:
                self._loop.call_soon_threadsafe(self._loop.call_later, SUBSCRIBE_AGAIN_S, self._subscribe)
            return
        self._subscriptions_refused = 0
        self._ready = True

    def _give_up(self, why: str) -> None:
        def resolve() -> None:
            if not self.refused.done():
                self.refused.set_result(why)

        self._loop.call_soon_threadsafe(resolve)

    def _disconnected(self, _: mqtt.Client, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        with self._lock:
            self._connection += 1  # nothing that came before may be confirmed any more
        if self._ready and not self._stopping:
            _logger.warning("connection to the broker lost; trying again", reason=str(reason))
        self._ready = False

    def _arrived(self, _: mqtt.Client, __: Any, arrived: mqtt.MQTTMessage) -> None:
        try:
            topic = arrived.topic
        except UnicodeDecodeError:  # paho keeps bytes and decodes them here; refused as no topic of ours
            topic = ""
        message = Message(topic, bytes(arrived.payload), arrived.mid, arrived.qos, self._connection, arrived.retain)
        if not self._inbox.put(message):
            self.overflowed += 1
            self.confirm(message)
