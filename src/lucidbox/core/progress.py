"""Progress of long work: a function that passes items through and may show how many are done."""

from collections.abc import Iterable
from typing import Protocol, TypeVar, runtime_checkable

Item = TypeVar("Item")


@runtime_checkable
class Progress(Protocol):
    """Passes items through and may show their number, as a progress bar does.

    Example:
        >>> for image in progress(images, len(images)):
        ...     work(image)
    """

    def __call__(self, items: Iterable[Item], count: int | None) -> Iterable[Item]:
        """The same items; ``count`` is how many there are, None where that is not known."""
        ...


def no_progress(items: Iterable[Item], count: int | None) -> Iterable[Item]:
    """A :class:`Progress` that shows nothing."""
    del count
    return items
