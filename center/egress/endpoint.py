"""An endpoint as center.toml names it, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from center import config as configuration
from center.config import CenterConfig, Webhook
from center.egress.signature import secrets_of
from center.errors import WebhookError
from center.store.search import Search


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to post what. The secrets are in no text that is made of it."""

    name: str
    url: str
    search: Search
    secrets: Secrets
    timeout_s: float
    give_up_after_s: float
    ca_file: Path | None


class Secrets(tuple[bytes, ...]):
    """Keys that no log or traceback spells out."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secrets>"


def endpoints(config_file: Path, config: CenterConfig) -> list[Endpoint]:
    """Every endpoint of center.toml. Raises WebhookError or ConfigError with one sentence."""
    names = [webhook.name for webhook in config.webhook]
    for name in names:
        if names.count(name) > 1:
            raise WebhookError(f"{config_file}: the webhook name {name!r} is used twice; give each its own")
    return [_endpoint(config_file, webhook) for webhook in config.webhook]


def _endpoint(config_file: Path, webhook: Webhook) -> Endpoint:
    where = f"{config_file}: webhook {webhook.name}"
    check_url(webhook.url, where)
    secret_file = configuration.resolve(config_file, webhook.secret_file)
    secret = configuration.read_secret(secret_file, "secret of a webhook")
    ca_file = configuration.resolve(config_file, webhook.ca_file) if webhook.ca_file else None
    if ca_file is not None and not ca_file.is_file():
        raise WebhookError(f"{where}: {ca_file}: there is no such ca_file; name a PEM file of certificates")
    return Endpoint(
        name=webhook.name,
        url=webhook.url,
        search=Search(
            type=webhook.type or None,
            severity_at_least=None if webhook.severity_at_least == "info" else webhook.severity_at_least,
            district=webhook.district,
            site=webhook.site,
            gateway=webhook.gateway,
        ),
        secrets=Secrets(secrets_of(secret, str(secret_file))),
        timeout_s=webhook.timeout_s,
        give_up_after_s=webhook.give_up_after_h * 3600,
        ca_file=ca_file,
    )


def check_url(url: str, where: str) -> None:
    """https, or http to this very machine; no credentials, no fragment. Raises WebhookError.

    Link-local addresses are refused: the machine's own metadata service lives there in many clouds.
    """
    expected = f"{where}: url: expected https://HOST/PATH, or http://127.0.0.1:PORT/PATH on this machine"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise WebhookError(f"{expected}, got something that is no URL") from None
    if not host or not url.isascii() or not url.isprintable() or " " in url or parts.fragment or "@" in parts.netloc:
        raise WebhookError(f"{expected}, without credentials, spaces or fragment")
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if address is not None and (address.is_link_local or address.is_multicast or address.is_unspecified):
        raise WebhookError(f"{expected}, got the link-local, multicast or unspecified address {host}")
    loopback = host == "localhost" or (address is not None and address.is_loopback)
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise WebhookError(f"{expected}, got {parts.scheme}://{host}")


def named(endpoints_: Sequence[Endpoint], name: str) -> Endpoint:
    """The endpoint of this name. Raises WebhookError."""
    for endpoint in endpoints_:
        if endpoint.name == name:
            return endpoint
    raise WebhookError(f"{name[:40]!r}: expected one of {[one.name for one in endpoints_]}")
