"""One picture from the web. Only http and https are spoken, also where a server redirects to something else.

User and password in an address (``http://user:password@host/``) are sent as Basic authorization (RFC 7617), to
that server alone and not where it redirects to; they appear in no name, message or file.
"""

import base64
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from lucidbox.core.errors import LucidboxError, SourceError
from lucidbox.core.version import __version__
from lucidbox.images.reading import MAX_PIXELS, read_image
from lucidbox.sources.cameras import without_password
from lucidbox.sources.items import Failure, Picture, SourceKind

if TYPE_CHECKING:
    from urllib.request import OpenerDirector, Request


@dataclass(frozen=True)
class Url:
    """A picture at an http or https address. Proxies are taken from the environment, as by other tools.

    Attributes:
        address: where the picture is.
        max_pixels: larger pictures are refused.
        silence: seconds that the server may be silent.
        deadline: seconds that everything together may take.
        max_bytes: longer answers are refused.
    """

    address: str
    max_pixels: int = MAX_PIXELS
    silence: float = 10.0
    deadline: float = 60.0
    max_bytes: int = 2**27
    kind: ClassVar[SourceKind] = "url"
    count: ClassVar[int | None] = 1
    live: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The address, without a password."""
        return without_password(self.address)

    def __iter__(self) -> Iterator[Picture | Failure]:
        """The picture, or why there is none."""
        try:
            pixels = read_image(self._fetch(), max_pixels=self.max_pixels, name=self.name)
        except LucidboxError as error:
            yield Failure(self.name, error)
            return
        yield Picture(pixels, self.name, _file_name(self.address))

    def _fetch(self) -> bytes:
        """The answer's bytes. A thread of its own waits for them: no time-out of a socket bounds the whole.

        Raises:
            SourceError: none came, or too many, or too late.
        """
        answers: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
        given_up = threading.Event()

        def work() -> None:
            try:
                answers.put(self._download(given_up))
            except Exception as error:  # whatever it is belongs to the thread that waits
                answers.put(error)

        threading.Thread(target=work, daemon=True).start()
        try:
            answer = answers.get(timeout=self.deadline)
        except queue.Empty:
            raise SourceError(f"{self.name}: no complete answer within {self.deadline:g} seconds") from None
        finally:
            given_up.set()
        if isinstance(answer, Exception):
            raise self._explained(answer) from answer
        return answer

    def _explained(self, error: Exception) -> Exception:
        """A failed download in words; what is no failed download, unchanged."""
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError

        if isinstance(error, HTTPError):
            error.close()
            return SourceError(f"{self.name}: the server answers {error.code} {_first_line(error.reason)}")
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, TimeoutError):
            return SourceError(f"{self.name}: no answer within {self.silence:g} seconds")
        if isinstance(error, (OSError, HTTPException, ValueError)):  # ValueError: no proper address
            return SourceError(f"{self.name}: {_first_line(getattr(reason, 'strerror', None) or reason)}")
        return error

    def _download(self, given_up: threading.Event) -> bytes:
        body = bytearray()
        with _opener().open(self._request(), timeout=self.silence) as response:
            stated = int(response.headers.get("Content-Length") or 0)
            while not given_up.is_set() and (part := response.read(2**16)):
                body += part
                if max(len(body), stated) > self.max_bytes:
                    limit = f"{self.max_bytes:,} bytes"
                    raise SourceError(f"{self.name}: the answer is longer than {limit}; download it yourself")
        if len(body) < stated:
            raise SourceError(f"{self.name}: the connection ended after {len(body)} of {stated} bytes")
        return bytes(body)

    def _request(self) -> "Request":
        from urllib.request import Request

        parts = urlsplit(self.address)
        try:
            _ = parts.port
        except ValueError:  # do not repeat what stands there: it may be the rest of a password
            raise SourceError(f"{self.name}: the port is no number (in a password, write / as %2F)") from None
        user_information, _, host = parts.netloc.rpartition("@")
        address = _quoted(urlunsplit(parts._replace(netloc=host)))
        request = Request(address, headers={"User-Agent": f"lucidbox/{__version__}"})  # noqa: S310
        if user_information:
            user, _, password = user_information.partition(":")
            pair = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode("ascii")
            request.add_unredirected_header("Authorization", f"Basic {pair}")
        return request


def _opener() -> "OpenerDirector":
    """A client for http and https alone: ``urlopen`` would follow a redirection to ftp as well."""
    from urllib import request

    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.UnknownHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPRedirectHandler(),
        request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _quoted(address: str) -> str:
    """The address with spaces and letters beyond ASCII escaped, as browsers do."""
    parts = urlsplit(address)
    safe = "/%:=&?~+!$,;'@()*[]"
    host = parts.netloc.encode("idna").decode("ascii") if not parts.netloc.isascii() else parts.netloc
    return urlunsplit((parts.scheme, host, quote(parts.path, safe), quote(parts.query, safe), ""))


def _file_name(address: str) -> str:
    """The last part of the path, or the host where there is none; without anything that could be a folder."""
    parts = urlsplit(address)
    last = unquote(parts.path).replace("\\", "/").rstrip("/").rpartition("/")[2]
    return last if last not in ("", ".", "..") else parts.hostname or "picture"


def _first_line(reason: object) -> str:
    return str(reason).splitlines()[0] if str(reason) else type(reason).__name__
