"""A function that calls back, as an iterator: it stands still between two items, so that nothing piles up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import TypeVar

Item = TypeVar("Item")


class _Stopped(BaseException):
    """Unwinds a function of which no more items are wanted."""


def stepped(run: Callable[[Callable[[Item], None]], None]) -> Iterator[Item]:
    """Yield what a function gives to its callback, one at a time.

    The function runs in a thread of its own, but never at the same time as the caller: it begins at the first ``next``,
    and waits in its callback until the one after. Several of them go through the same long computation in step.

    Args:
        run: called once, with the callback.

    Raises:
        BaseException: whatever the function raises, at the item where it did.
    """
    items: SimpleQueue[tuple[Item] | BaseException | None] = SimpleQueue()
    go, stop = Semaphore(0), Event()

    def emit(item: Item) -> None:
        items.put((item,))
        go.acquire()
        if stop.is_set():
            raise _Stopped

    def work() -> None:
        go.acquire()
        try:
            if not stop.is_set():
                run(emit)
            items.put(None)
        except _Stopped:
            pass
        except BaseException as error:
            items.put(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            go.release()
            found = items.get()
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield found[0]
    finally:
        stop.set()
        go.release()
        thread.join()
