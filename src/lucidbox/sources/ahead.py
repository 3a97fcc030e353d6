"""A source read by a thread of its own, while others work on what it gave.

Of a file nothing is lost: the thread waits while its shelf is full. Of a live source the newest item wins: who is
slow misses frames instead of falling behind.
"""

import threading
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import Generic, TypeVar

from lucidbox.sources.items import Failure

_Item = TypeVar("_Item")

_PATIENCE = 2.0
"""Seconds that leaving waits for the thread: a network stream that hangs cannot be interrupted, and takes ten."""


def ahead(items: Iterable[_Item], room: int) -> Generator[_Item, None, None]:
    """Every item, in order, at most ``room`` of them read before they are asked for.

    An error of ``items`` is raised in its place. Closing the generator ends the thread, which closes ``items``.
    """
    return _read(items, _Shelf(room, drops=False))


def newest(items: Iterable[_Item]) -> Generator[_Item, None, None]:
    """The newest item there is whenever one is asked for; older ones that nobody asked for are dropped.

    Failures, the last item, an error of ``items`` and their end are not dropped. Closing is as for :func:`ahead`.
    """
    return _read(items, _Shelf(1, drops=True))


class _Shelf(Generic[_Item]):
    """Where one thread puts items and another takes them.

    Args:
        room: most items on it.
        drops: whether a full shelf loses its oldest item, no failure, to a new one; else the new one waits.
    """

    def __init__(self, room: int, *, drops: bool) -> None:
        self._drops = drops
        self._room = room
        self._items: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._left = False
        self._error: BaseException | None = None

    def fill(self, items: Iterable[_Item]) -> None:
        """Put every item, until they end or nobody takes them any more; runs in the reading thread."""
        try:
            for item in items:
                if not self._put(item):
                    break
        except BaseException as error:  # raised in the thread that takes the items
            self._error = error
        finally:
            # Here, not where it was made: a capture is to be released by the thread that reads from it.
            if isinstance(items, Generator):
                items.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, item: _Item) -> bool:
        """Put one item; False if nobody takes them any more."""
        with self._changed:
            while len(self._items) >= self._room and not self._drops and not self._left:
                self._changed.wait()
            others = [old for old in self._items if not isinstance(old, Failure)]
            if self._drops and len(others) >= self._room and not isinstance(item, Failure):
                self._items.remove(others[0])
            self._items.append(item)
            self._changed.notify_all()
            return not self._left

    def take(self) -> Generator[_Item, None, None]:
        """Items as they come."""
        while True:
            with self._changed:
                while not self._items and not self._ended:
                    self._changed.wait()
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def leave(self) -> None:
        """Nothing more will be taken."""
        with self._changed:
            self._left = True
            self._changed.notify_all()


def _read(items: Iterable[_Item], shelf: _Shelf[_Item]) -> Generator[_Item, None, None]:
    # A generator of our own even of a source: its thread must be able to close it.
    reader = threading.Thread(target=shelf.fill, args=(_each(items),), name="lucidbox-reader", daemon=True)
    reader.start()
    try:
        with closing(shelf.take()) as taken:
            yield from taken
    finally:
        shelf.leave()
        reader.join(_PATIENCE)


def _each(items: Iterable[_Item]) -> Generator[_Item, None, None]:
    yield from items
