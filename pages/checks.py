"""The questions the guard asks of a request, as pure functions over header text. Each answers no where in doubt."""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
SAFE_METHODS = frozenset({"GET", "HEAD"})
MAX_COOKIE_CHARS = 4096
FORM_TYPE = "application/x-www-form-urlencoded"

MAX_FIELDS = 40  # of a form; the consent of a face names up to 16 portals beside nine others
HEADERS = {
    # Neither inline script nor inline style, nothing from elsewhere, no plug-ins, no framing, no foreign form target.
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: with it, browsers send `Origin: null` with our own forms (Fetch, "serialize a request origin").
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=()",
}


def host_and_port(host: str) -> tuple[str, int] | None:
    """Split a Host header; None for anything that is not exactly a host and a port. No port means 80."""
    if not host or len(host) > 255 or any(c in host for c in "/\\@?# \t,"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.netloc != host:
        return None
    return name.rstrip("."), 80 if port is None else port


def host_is_ours(host: str) -> bool:
    """Only a loopback name may stand in Host: another name that leads here is a DNS rebinding attack.

    The port is free, so that `ssh -L` works; which page it is shows in the cookie's name.
    """
    split = host_and_port(host)
    return split is not None and split[0] in LOOPBACK_NAMES


def origin_is_ours(origin: str | None, host: str) -> bool:
    """Whether the page that sends came from this very host and port. Every browser sends Origin with unsafe methods."""
    return origin is not None and origin == f"http://{host}"


def cookies(header: str) -> dict[str, str]:
    """Cookies of a request; {} where they cannot be read."""
    try:
        parsed = SimpleCookie(header[:MAX_COOKIE_CHARS])
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in parsed.items()}


def csrf_sent(headers: dict[str, str], body: bytes) -> str:
    """The CSRF token of a request: the header X-CSRF-Token, else the field `csrf` of a plain form."""
    if token := headers.get("x-csrf-token"):
        return token
    if headers.get("content-type", "").split(";")[0].strip().lower() != FORM_TYPE:
        return ""
    try:
        fields = parse_qs(body.decode("utf-8"), max_num_fields=MAX_FIELDS)
    except ValueError:
        return ""
    return fields.get("csrf", [""])[0]


def same_secret(a: str, b: str) -> bool:
    """Constant-time comparison; an empty secret equals nothing."""
    return bool(a) and bool(b) and hmac.compare_digest(a.encode(), b.encode())


def local_path(path: str) -> str:
    """`path` if it stays on this page, else `/`: never redirect to where a request says."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and len(path) <= 500
    return path if inside and path.isprintable() and "\\" not in path else "/"
