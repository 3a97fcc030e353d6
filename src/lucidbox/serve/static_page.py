"""The page's files, read once into memory: no request ever names a path on disk."""

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from lucidbox.serve.request_errors import RequestError

_FOLDER = Path(__file__).with_name("page")
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".md": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load: nothing from elsewhere, no script or style in the HTML itself."""


class _File(NamedTuple):
    content: bytes
    media_type: str
    tag: str


class StaticPage:
    """Answers ``/`` and ``/page/NAME``."""

    def __init__(self) -> None:
        self._files = {}
        for path in sorted(_FOLDER.rglob("*")):
            if path.suffix in _MEDIA_TYPES and path.is_file():
                content = path.read_bytes()
                tag = f'"{sha256(content).hexdigest()[:16]}"'
                self._files[path.relative_to(_FOLDER).as_posix()] = _File(content, _MEDIA_TYPES[path.suffix], tag)

    @property
    def examples(self) -> list[str]:
        """Names of the example pictures."""
        names = (name.partition("examples/")[2] for name in self._files if name.startswith("examples/"))
        return [name for name in names if name.endswith((".jpg", ".png"))]

    async def __call__(self, request: Request) -> Response:
        """The file that an address names.

        Raises:
            RequestError: 404, there is none.
        """
        file = self._files.get(request.path_params.get("name", "index.html"))
        if file is None:
            raise RequestError(404, "there is no such page")
        headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)
