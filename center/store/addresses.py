"""Standard addresses (标准地址) and grid cells (网格): which one an event belongs to. Pure.

An entry is for one subject of a gateway (a portal, a device), for a whole gateway, or for a whole site; the most exact
one counts. Codes are those of the district's own register: cities number them differently, so only the characters are
checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from center.contract.topics import GatewayName

MAX_CODE_CHARACTERS = 40
MAX_PLACE_CHARACTERS = 120


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """One entry. gateway "" = the whole site; subject "" = the whole gateway. `place` is a text for people."""

    district: str
    site: str
    gateway: str
    subject: str
    address: str
    grid: str
    place: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is for."""
        return (self.district, self.site, self.gateway, self.subject)


class Book:
    """Every entry, for looking up."""

    def __init__(self, addresses: Iterable[Address] = ()) -> None:
        self._by_key = {address.key: address for address in addresses}

    def __len__(self) -> int:
        return len(self._by_key)

    def of(self, name: GatewayName, subject: str) -> Address | None:
        """The most exact entry for this subject of this gateway."""
        if not self._by_key:
            return None
        for gateway, about in ((name.gateway, subject), (name.gateway, ""), ("", "")):
            found = self._by_key.get((name.district, name.site, gateway, about))
            if found is not None:
                return found
        return None
