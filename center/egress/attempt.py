"""One attempt to post one document, and what its answer means."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import httpx

from center.egress.endpoint import Endpoint
from center.egress.signature import headers
from runtime.log import shown

MAX_ANSWER_BYTES = 64 * 1024
MAX_RETRY_AFTER_S = 3600.0
# "This very document is not acceptable": sending it again is pointless. Every other refusal may be the endpoint's own
# trouble (a proxy's 404, an expired right), which must not turn a whole day into dead letters.
_REFUSED = frozenset({400, 413, 415, 422})


class Result(Enum):
    """What became of an attempt."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # a dead letter at once
    FAILED = "failed"  # to be tried again


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome; `problem` is one sentence, "" where it was delivered."""

    result: Result
    problem: str = ""
    retry_after_s: float = 0.0


class Post(Protocol):
    """Posts one document."""

    async def __call__(self, source: str, id_: str, body: bytes) -> Answer:
        """Never raises for what the other end does."""
        ...


class Poster:
    """Posts to one endpoint over one kept connection. No redirects, no proxies, bounded time and answer."""

    def __init__(self, endpoint: Endpoint, now_s: Callable[[], float] = time.time) -> None:
        self._endpoint = endpoint
        self._now_s = now_s
        trust = ssl.create_default_context(cafile=str(endpoint.ca_file) if endpoint.ca_file else None)
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            verify=trust,
            timeout=endpoint.timeout_s,
            limits=httpx.Limits(max_connections=1),
        )

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def __call__(self, source: str, id_: str, body: bytes) -> Answer:
        """One POST of a CloudEvents document, signed for this moment. The id is the same for every attempt."""
        sent = {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "user-agent": "zhian-center",
            **headers(message_id(source, id_), int(self._now_s()), body, self._endpoint.secrets),
        }
        try:
            async with (
                asyncio.timeout(self._endpoint.timeout_s),
                self._client.stream("POST", self._endpoint.url, content=body, headers=sent) as answer,
            ):
                read = 0
                async for chunk in answer.aiter_raw():  # raw: a small compressed answer cannot become a large one
                    read += len(chunk)
                    if read > MAX_ANSWER_BYTES:
                        break
                return meaning(answer.status_code, answer.headers.get("retry-after", ""))
        except TimeoutError:
            return Answer(Result.FAILED, f"no answer within {self._endpoint.timeout_s:g} s")
        except (httpx.HTTPError, httpx.StreamError, OSError, ValueError) as e:
            return Answer(Result.FAILED, shown(f"{type(e).__name__}: {e}".strip(": ")))


def meaning(status: int, retry_after: str) -> Answer:
    """2xx is delivered; a redirect is not followed."""
    if 200 <= status < 300:
        return Answer(Result.DELIVERED)
    if status in _REFUSED:
        return Answer(Result.REFUSED, f"refused with HTTP {status}")
    wait_s = float(retry_after) if retry_after.isdecimal() and len(retry_after) <= 6 else 0.0
    what = "answered with a redirect, which is not followed" if 300 <= status < 400 else "answered with an error"
    return Answer(Result.FAILED, f"{what} (HTTP {status})", min(wait_s, MAX_RETRY_AFTER_S))


def message_id(source: str, id_: str) -> str:
    """The `webhook-id` of an event: the same at every attempt and every endpoint."""
    return "msg_" + hashlib.sha256(f"{source} {id_}".encode()).hexdigest()[:32]
