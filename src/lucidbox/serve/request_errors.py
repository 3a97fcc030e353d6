"""Errors that are answers to a client, with their status."""

from collections.abc import Mapping

from lucidbox.core.errors import EngineError, ImageError, ImageFormatError, ImageSizeError, LucidboxError


class RequestError(Exception):
    """A request that is answered with an error.

    Args:
        status: of the answer.
        message: one line for the client.
        reason: for ``lucidbox_rejected_total``, where the server and not the request is the cause.
        headers: of the answer.
    """

    def __init__(
        self, status: int, message: str, *, reason: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.reason = status, message, reason
        self.headers = dict(headers or {})


def request_error_of(error: LucidboxError) -> RequestError:
    """The answer to a request that one of our own errors ended."""
    if isinstance(error, ImageFormatError):
        return RequestError(415, str(error))
    if isinstance(error, ImageSizeError):
        return RequestError(413, str(error))
    if isinstance(error, EngineError):
        return RequestError(503, f"the model cannot answer: {error}", reason="engine")
    return RequestError(422 if isinstance(error, (ImageError, ValueError)) else 400, str(error))


def busy(seconds: float) -> RequestError:
    """All workers are busy and the queue is full."""
    after = str(max(1, round(seconds)))
    return RequestError(
        429, "all workers are busy and the queue is full", reason="full", headers={"Retry-After": after}
    )


def stopping() -> RequestError:
    """The server takes no more work."""
    return RequestError(503, "the server is being stopped", reason="stopping", headers={"Retry-After": "5"})


def too_late(seconds: float) -> RequestError:
    """The deadline has passed."""
    message = f"not answered within {seconds:g} seconds"
    return RequestError(503, message, reason="deadline", headers={"Retry-After": "1"})
