"""A picture, a video or live video from the web, by http and https alone, also where a server redirects elsewhere.

User and password in an address (``http://user:password@host/``) are sent as Basic authorization (RFC 7617), to
that server alone and not where it redirects to; they appear in no name, message or file.
"""

import base64
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from lucidbox.core.errors import LucidboxError, SourceError
from lucidbox.core.version import __version__
from lucidbox.images.reading import MAX_PIXELS, read_image
from lucidbox.sources.cameras import Camera, without_password
from lucidbox.sources.containers import begins_like_video
from lucidbox.sources.items import FailedSource, Failure, Picture, Source, SourceKind
from lucidbox.sources.videos import Video

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.request import OpenerDirector, Request


_Answer = bytes | TemporaryDirectory[str] | Exception | None
_LIVE = "multipart/x-mixed-replace"
_LIVE_WITHOUT_LENGTH = frozenset({"video/mp2t", "video/x-flv"})


@dataclass(frozen=True)
class Url:
    """A picture or video at an http or https address. Proxies are taken from the environment, as by other tools.

    A video file is downloaded whole, into a temporary file, before its first frame comes. A stream of JPEGs, as
    network cameras send it, is live video, as is a transport stream without a stated length.

    Attributes:
        address: where it is.
        max_pixels: larger pictures and frames are refused.
        silence: seconds that the server may be silent.
        deadline: seconds that a picture may take; a video, each mebibyte.
        max_bytes: longer answers are refused, and longer videos than 32 times as much.
        stride: of a video file, give every n-th frame.
    """

    address: str
    max_pixels: int = MAX_PIXELS
    silence: float = 10.0
    deadline: float = 60.0
    max_bytes: int = 2**27
    stride: int = 1
    kind: ClassVar[SourceKind] = "url"
    count: ClassVar[int | None] = 1
    live: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The address, without a password."""
        return without_password(self.address)

    def __iter__(self) -> Iterator[Picture | Failure]:
        """The picture, or the frames, or why there are none."""
        yield from self.found()

    def found(self) -> Source:
        """What is at the address: asks the server, and downloads a picture or a video file."""
        try:
            answer = self._fetch()
            if answer is None:
                return Camera(self.address, self.max_pixels)
            if isinstance(answer, bytes):
                pixels = read_image(answer, max_pixels=self.max_pixels, name=self.name)
                return _Single(self.name, Picture(pixels, self.name, _file_name(self.address)))
        except LucidboxError as error:
            return FailedSource(self.name, error)
        file = Path(answer.name, "video")
        return _Downloaded(answer, Video(file, self.stride, self.max_pixels, _file_name(self.address), self.name))

    def _fetch(self) -> "bytes | TemporaryDirectory[str] | None":
        """The answer's bytes, or a folder with the video in it, or None for live video.

        A thread of its own waits for them: no time-out of a socket bounds the whole.

        Raises:
            SourceError: none came, or too many, or too late.
        """
        answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        download = _Download()

        def work() -> None:
            try:
                answers.put(self._download(download))
            except Exception as error:  # whatever it is belongs to the thread that waits
                answers.put(error)

        threading.Thread(target=work, daemon=True).start()
        try:
            answer = self._awaited(answers, download)
        finally:
            download.given_up.set()
        if isinstance(answer, Exception):
            raise self._explained(answer) from answer
        return answer

    def _awaited(self, answers: "queue.SimpleQueue[_Answer]", download: "_Download") -> "_Answer":
        before = 0
        while True:
            try:
                return answers.get(timeout=self.deadline)
            except queue.Empty:
                if not download.is_video or download.length < before + 2**20:
                    reason = f"no complete answer within {self.deadline:g} seconds"
                    raise SourceError(f"{self.name}: {reason}") from None
                before = download.length

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

    def _download(self, download: "_Download") -> "bytes | TemporaryDirectory[str] | None":
        with _opener().open(self._request(), timeout=self.silence) as response:
            stated = int(response.headers.get("Content-Length") or 0)
            kind = response.headers.get_content_type()
            if kind == _LIVE or (kind in _LIVE_WITHOUT_LENGTH and not stated):
                return None
            start = response.read(2**16)
            if not (kind.startswith("video/") or begins_like_video(start[:400])):
                body = bytearray()
                self._receive(response, start, stated, download, body.extend, self.max_bytes)
                return bytes(body)
            download.is_video = True
            folder = TemporaryDirectory(prefix="lucidbox-")
            try:
                with Path(folder.name, "video").open("wb") as file:
                    self._receive(response, start, stated, download, file.write, 32 * self.max_bytes)
            except BaseException:
                folder.cleanup()
                raise
            return folder

    def _receive(
        self,
        response: "HTTPResponse",
        part: bytes,
        stated: int,
        download: "_Download",
        take: Callable[[bytes], object],
        most: int,
    ) -> None:
        """Hand on an answer's bytes, beginning with ``part``, which has been read."""
        while part and not download.given_up.is_set():
            take(part)
            download.length += len(part)
            if max(download.length, stated) > most:
                limit = f"{most:,} bytes"
                raise SourceError(f"{self.name}: the answer is longer than {limit}; download it yourself")
            part = response.read(2**16)
        if download.length < stated:
            reason = f"the connection ended after {download.length} of {stated} bytes"
            raise SourceError(f"{self.name}: {reason}")

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


@dataclass
class _Download:
    """What the thread that downloads and the one that waits tell each other."""

    given_up: threading.Event = field(default_factory=threading.Event)
    is_video: bool = False
    length: int = 0


@dataclass(frozen=True)
class _Single:
    """One item that is there already."""

    name: str
    item: Picture
    kind: ClassVar[SourceKind] = "url"
    count: ClassVar[int | None] = 1
    live: ClassVar[bool] = False

    def __iter__(self) -> Iterator[Picture | Failure]:
        yield self.item


@dataclass(frozen=True)
class _Downloaded:
    """A video in a folder that is removed once it has been read."""

    folder: "TemporaryDirectory[str]"
    video: Video
    kind: ClassVar[SourceKind] = "video"
    live: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return self.video.name

    @property
    def count(self) -> int | None:
        return self.video.count

    def __iter__(self) -> Iterator[Picture | Failure]:
        with self.folder:
            yield from self.video


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
