"""What a server allows its clients, as one frozen value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lucidbox.core.errors import OptionError


def _nothing(record: Mapping[str, Any]) -> None:
    """Logs nothing."""


@dataclass(frozen=True)
class ServerSettings:
    """What a server allows its clients.

    Attributes:
        api_key: what clients must send; None lets everybody in.
        max_bytes: longest request body. Uploads in memory are at most :attr:`memory` together.
        max_pixels: pictures of more pixels are refused before they are decoded.
        queue: most requests that wait for a free worker; one more is refused with 429.
        timeout: seconds within which an upload must be complete, and then again within which it is answered.
        grace: seconds that requests in hand have to finish when the server is stopped.
        connections: most open connections.
        allow_origins: origins, such as "https://example.org", whose pages may call the server from a browser.
        hosts: names by which requests may call the server, as their Host header has it; empty: any. Where no key
            is needed, it keeps out pages of other sites whose own name has been made to lead here (DNS rebinding).
        explain: whether ``/v1/explain`` is there.
        log: is given one record for each request.

    Raises:
        OptionError: a value is out of range.
    """

    api_key: str | None = field(default=None, repr=False)
    max_bytes: int = 64 * 2**20
    max_pixels: int = 50_000_000
    queue: int = 64
    timeout: float = 30.0
    grace: float = 30.0
    connections: int = 1000
    allow_origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    explain: bool = True
    log: Callable[[Mapping[str, Any]], None] = field(default=_nothing, repr=False)

    def __post_init__(self) -> None:
        for name, least in (("max_bytes", 1), ("max_pixels", 1), ("queue", 0), ("connections", 1)):
            if getattr(self, name) < least:
                raise OptionError(f"{name} {getattr(self, name)} is less than {least}")
        for name in ("timeout", "grace"):
            if not 0 < getattr(self, name) <= 86_400:
                raise OptionError(f"{name} {getattr(self, name):g} is not between 0 and 86400 seconds")
        for origin in self.allow_origins:
            scheme, _, host = origin.partition("://")
            if scheme not in ("http", "https") or not host or "/" in host or "*" in host:
                raise OptionError(f"origin {origin!r} is none; give it as https://example.org, without a path")
        if self.api_key is not None and not (
            self.api_key.isascii() and self.api_key.isprintable() and self.api_key
        ):
            raise OptionError("the API key must be of printable ASCII letters")

    @property
    def memory(self) -> int:
        """Most bytes of all uploads in memory."""
        return 8 * self.max_bytes
