"""What long work shows of itself: items pass by whoever watches."""

from collections.abc import Iterable
from typing import Protocol, TypeVar, runtime_checkable

Item = TypeVar("Item")


@runtime_checkable
class Progress(Protocol):
    """Sees items pass, as a progress bar does."""

    def __call__(self, items: Iterable[Item], count: int | None) -> Iterable[Item]:
        """The same items; ``count`` of them will come, None if nobody knows."""
        ...


def no_progress(items: Iterable[Item], count: int | None) -> Iterable[Item]:
    """A :class:`Progress` that shows nothing."""
    del count
    return items
