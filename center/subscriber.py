"""Follow a district's events from outside: base dependencies only (paho-mqtt, msgspec, zstandard), no store, no loop.

What a third party would write itself in ten lines (docs/events.md), with reconnection and without copies.
"""

from __future__ import annotations

import secrets
import signal
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from msgspec import Struct
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from center import config as center_config
from center.contract import topics
from center.contract.cloudevents import to_cloudevent
from center.contract.errors import ContractError
from center.contract.frame import FrameDecoder
from center.contract.topics import Kind
from center.errors import CenterError
from runtime.mqtt import REFUSED_FOR_S

_REMEMBERED = 100_000  # identities, to leave out copies: delivery is at least once
_KEEPALIVE_S = 30
# CONNACK codes that may pass; the first one also says that the broker could not look at the password in time.
_MAY_PASS = ("Not authorized", "Server unavailable")
# Alarms also come first, and by themselves where a gateway's disk does not take them: only there can those be heard.
_TOPICS = tuple(topics.every_gateway(kind) for kind in (Kind.EVENT, Kind.ALARM))


class SubscriberError(CenterError):
    """The broker cannot be used as asked."""


class SubscriberAccess(Struct, frozen=True):
    """Where to listen and as whom. tls: files of the authority, the own certificate and its key."""

    host: str
    port: int
    username: str | None
    password: str | None
    tls: tuple[Path, Path, Path] | None = None


def access_from(
    config: Path | None,
    broker: str | None,
    username: str | None,
    password_file: Path | None,
    tls: tuple[Path | None, Path | None, Path | None] = (None, None, None),
) -> SubscriberAccess:
    """From center.toml, or from the parts. Raises SubscriberError or ConfigError with one sentence."""
    if config is not None:
        return _as_ingest(config)
    if broker is None:
        raise SubscriberError("subscribe: which broker? Give --config center.toml, or --broker mqtt://HOST:PORT")
    host, port, encrypted = _host_and_port(broker)
    ca_file, certificate_file, key_file = tls
    if not encrypted:
        if any(tls):
            raise SubscriberError("--broker: with certificates expected mqtts://HOST:PORT, got mqtt://")
        secret = None if password_file is None else center_config.read_secret(password_file, "password")
        return SubscriberAccess(host, port, username, secret)
    if ca_file is None or certificate_file is None or key_file is None:
        raise SubscriberError("--broker mqtts://: give --ca-file, --certificate-file and --key-file, too")
    for file in (ca_file, certificate_file, key_file):
        if not file.is_file():
            raise SubscriberError(f"{file}: there is no such file; give PEM files")
    return SubscriberAccess(host, port, None, None, (ca_file, certificate_file, key_file))


def _as_ingest(config: Path) -> SubscriberAccess:
    """As the center itself; with TLS its certificate says so."""
    settings = center_config.read(config)
    told = settings.ingest
    files = center_config.ingest_tls_files(config, settings)
    host = told.host or settings.broker.address
    if files is not None or told.password_file is None:
        return SubscriberAccess(host, settings.broker.port, None, None, files)
    password = center_config.read_secret(center_config.resolve(config, told.password_file), "password of ingest")
    return SubscriberAccess(host, settings.broker.port, told.username, password)


def _host_and_port(broker: str) -> tuple[str, int, bool]:
    """Host, port, and whether TLS is asked for."""
    try:
        url = urlsplit(broker)
        if url.scheme in ("mqtt", "mqtts") and url.hostname and url.username is None:
            return url.hostname, url.port or (8883 if url.scheme == "mqtts" else 1883), url.scheme == "mqtts"
    except ValueError:  # the port is not a number
        pass
    raise SubscriberError(
        f"--broker: expected mqtt://HOST:PORT or mqtts://HOST:PORT without credentials, got {broker[:80]!r}"
    )


def follow(access: SubscriberAccess, show: Callable[[dict[str, Any]], None]) -> None:
    """Call `show` with each new event's CloudEvents document until SIGINT or SIGTERM. Raises SubscriberError.

    Blocks; `show` is called in the MQTT client's thread, one event at a time.
    """
    done = threading.Event()
    failure: list[str] = []

    def stop(why: str) -> None:
        failure.append(why)
        done.set()

    client = _client(access, _Printer(show, stop), stop)
    client.connect_async(access.host, access.port, _KEEPALIVE_S)

    def signalled(_: int, __: FrameType | None) -> None:
        done.set()

    before = {number: signal.signal(number, signalled) for number in (signal.SIGINT, signal.SIGTERM)}
    client.loop_start()
    try:
        done.wait()
    finally:
        client.disconnect()
        client.loop_stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    if failure:
        raise SubscriberError(failure[0])


class _Printer:
    """Decodes frames and leaves out what was seen already."""

    def __init__(self, show: Callable[[dict[str, Any]], None], stop: Callable[[str], None]) -> None:
        self._show = show
        self._stop = stop
        self._decoder = FrameDecoder()
        self._seen: dict[tuple[topics.GatewayName, str, int], None] = {}

    def arrived(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        try:
            name, _kind = topics.parse(message.topic)
            frame = self._decoder.decode(bytes(message.payload))
        except (ContractError, UnicodeDecodeError) as e:
            print(f"zhian: a message was left out: {e}", file=sys.stderr)  # noqa: T201
            return
        for event in frame.events:
            identity = (name, frame.epoch, event.seq)
            if identity in self._seen:
                continue
            self._seen[identity] = None
            if len(self._seen) > _REMEMBERED:
                del self._seen[next(iter(self._seen))]
            place = (name.district, name.site, name.gateway)
            try:
                self._show(to_cloudevent(event, *place, frame.epoch, frame.simulated))
            except BrokenPipeError:  # `| head`
                self._stop("the reader of the output has gone")
                return


def _client(access: SubscriberAccess, printer: _Printer, stop: Callable[[str], None]) -> mqtt.Client:
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"subscriber-{secrets.token_hex(8)}",
        clean_session=True,
        protocol=mqtt.MQTTv311,
    )
    if access.username is not None:
        client.username_pw_set(access.username, access.password)
    if access.tls is not None:
        ca_file, certificate_file, key_file = access.tls
        try:
            client.tls_set(str(ca_file), str(certificate_file), str(key_file))
        except (ssl.SSLError, OSError) as e:
            raise SubscriberError(
                f"{certificate_file}: cannot be used ({e}); give PEM files that fit together"
            ) from None

    refused_s: list[float] = []  # since when nothing but refusals came

    def connected(_: Any, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        if not reason.is_failure:
            refused_s.clear()
            client.subscribe([(one, 1) for one in _TOPICS])
            return
        why = f"the broker at {access.host}:{access.port} refused {access.username!r} ({reason}), or was not ready"
        refused_s[:] = refused_s or [monotonic()]
        if str(reason) not in _MAY_PASS or monotonic() >= refused_s[0] + REFUSED_FOR_S:
            stop(f"{why}; check its password or certificate against the users file")
        else:
            print(f"zhian: {why}; trying again for {REFUSED_FOR_S / 60:.0f} minutes", file=sys.stderr)  # noqa: T201

    def subscribed(_: Any, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            stop(f"the broker does not let {access.username!r} subscribe to {_TOPICS}; use a user of role subscriber")
        else:
            print(f"zhian: listening at {access.host}:{access.port}", file=sys.stderr)  # noqa: T201

    def failed(_: Any, __: Any) -> None:
        print(f"zhian: no broker at {access.host}:{access.port} yet; trying again", file=sys.stderr)  # noqa: T201

    client.on_connect = connected
    client.on_subscribe = subscribed
    client.on_connect_fail = failed
    client.on_message = printer.arrived
    client.reconnect_delay_set(1, 30)
    return client
