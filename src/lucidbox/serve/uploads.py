"""Reading what clients send, into memory only: bounded in length, in time, and over all clients together."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from lucidbox.core.text import printable
from lucidbox.serve.request_errors import RequestError
from lucidbox.serve.settings import ServerSettings

_MOST_PARTS = 200
_LONGEST_PART_HEADER = 4096
_LONGEST_FIELD = 4096
_STALL = 10.0  # seconds without a byte after which an upload is given up


class UploadedFile(NamedTuple):
    """A file that a client sent: what it calls it, and its bytes."""

    name: str
    content: bytes


class UploadForm(NamedTuple):
    """What a request holds: its files, and the fields of a form as names and values."""

    files: list[UploadedFile]
    fields: list[tuple[str, str]]


class Uploads:
    """Reads bodies of requests, and keeps count of how many bytes of them are in memory.

    Attributes:
        held: bytes of all uploads in memory.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.held = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body of a request, which counts as held until the block ends.

        Raises:
            RequestError: 400 malformed length, 408 too slow, 413 too long, 415 compressed, 429 too many.
        """
        chunks: list[bytes] = []
        try:
            await self._read(request, chunks)
            chunks[:] = [b"".join(chunks)]  # so that it is in memory once
            yield chunks[0]
        finally:
            self.held -= sum(map(len, chunks))

    async def _read(self, request: Request, chunks: list[bytes]) -> None:
        """Add the body's parts to ``chunks`` as they come."""
        expected, length = self._expected(request), 0
        loop = asyncio.get_running_loop()
        last = loop.time() + self.settings.timeout
        try:
            async with asyncio.timeout_at(min(last, loop.time() + _STALL)) as patience:
                async for chunk in request.stream():
                    chunks.append(chunk)
                    length += len(chunk)
                    self.held += len(chunk)
                    self._check(max(length, expected))
                    patience.reschedule(min(last, loop.time() + _STALL))
        except TimeoutError as error:
            slow = "the upload came too slowly and was given up"
            raise RequestError(408, slow, reason="slow", headers={"Connection": "close"}) from error

    def _expected(self, request: Request) -> int:
        """The length that a request states; 0 where it states none."""
        coding = request.headers.get("content-encoding", "identity")
        if coding.lower() not in ("identity", ""):
            raise RequestError(415, f"Content-Encoding {coding[:40]!r} is not taken; send the bytes as they are")
        stated = request.headers.get("content-length", "0")
        if not (stated.isascii() and stated.isdigit()):
            raise RequestError(400, "Content-Length is no number")
        expected = int(stated[:20])
        self._check(expected)
        return expected

    def _check(self, length: int) -> None:
        most = self.settings.max_bytes
        if length > most:
            raise RequestError(413, f"the body has more than {most} bytes, the most that is taken", reason="bytes")
        if self.held > self.settings.memory:
            raise RequestError(
                429,
                "too many uploads at once",
                reason="memory",
                headers={"Retry-After": "2", "Connection": "close"},
            )


def form_of(body: bytes, headers: Mapping[str, str]) -> UploadForm:
    """The files and fields of a request: of a multipart form, or the body itself as one file.

    Raises:
        RequestError: 400 where there is nothing or the form is malformed, 413 too many parts.
    """
    kind, options = parse_options_header(headers.get("content-type", ""))
    if kind == b"multipart/form-data":
        return _parts(body, options.get(b"boundary", b""))
    if not body:
        raise RequestError(400, "no picture: the request has no body")
    return UploadForm([UploadedFile("-", body)], [])


def _parts(body: bytes, boundary: bytes) -> UploadForm:
    """The parts of a multipart form. All of it is in memory, so the boundary is looked for at once (RFC 2046)."""
    if not 1 <= len(boundary) <= 200:
        raise RequestError(400, "multipart: Content-Type has no boundary")
    delimiter = b"\r\n--" + boundary
    whole = b"\r\n" + body
    if whole.count(delimiter) > _MOST_PARTS + 1:
        raise RequestError(413, f"multipart: more than {_MOST_PARTS} parts")
    _, *pieces = whole.split(delimiter)
    if not pieces or not pieces[-1].startswith(b"--"):
        raise RequestError(400, "multipart: the closing boundary is missing: incomplete or malformed")
    form = UploadForm([], [])
    for piece in pieces[:-1]:
        _add_part(form, piece)
    if not form.files and not form.fields:
        raise RequestError(400, "no picture: the form is empty")
    return form


def _add_part(form: UploadForm, piece: bytes) -> None:
    start = piece.find(b"\r\n")
    end = piece.find(b"\r\n\r\n", start, start + _LONGEST_PART_HEADER)
    if start < 0 or piece[:start].strip(b" \t") or end < 0:
        raise RequestError(400, "multipart: a part has no header, or a malformed one")
    disposition: dict[bytes, bytes] = {}
    for line in piece[start:end].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            kind, disposition = parse_options_header(value.decode("latin-1"))
            if kind != b"form-data" or b"name" not in disposition:
                raise RequestError(400, "multipart: a part is no form-data with a name")
    if not disposition:
        raise RequestError(400, "multipart: a part has no Content-Disposition")
    content = piece[end + 4 :]
    field = disposition[b"name"].decode("utf-8", "replace")
    if field in ("file", "files", "image") or b"filename" in disposition:
        filename = disposition.get(b"filename", b"-").decode("utf-8", "replace")
        form.files.append(UploadedFile(printable(filename[-200:]) or "-", content))
        return
    if len(content) > _LONGEST_FIELD:
        raise RequestError(400, f"multipart: field {field[:40]!r} is too long")
    try:
        form.fields.append((field, content.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise RequestError(400, f"multipart: field {field[:40]!r} is no UTF-8") from error
