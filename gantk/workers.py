"""Work spread over processes, without a `__main__` guard in scripts; a process that dies costs only time."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from gantk.progress import Progress

__all__ = ["cores", "in_processes"]

Result = TypeVar("Result")


def in_processes(
    work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], workers: int | None, progress: Progress
) -> Iterator[Result]:
    """Run the jobs and yield their results as they complete, in any order.

    The processes are spawned, never forked, because this process may have torch's threads. Unlike processes of
    `multiprocessing`, they do not import the running script. If one dies, this process does all remaining jobs.

    Args:
        work: called with each job's arguments; must pickle, as these and the results must.
        jobs: one tuple of arguments each.
        workers: processes, 1 works in this process; default: one per core that this process may use.
        progress: is told when a process died.
    """
    left = dict(enumerate(jobs))
    workers = min(workers or cores(), len(jobs))
    if workers > 1:
        from joblib.externals.loky import ProcessPoolExecutor  # the standard library's runs the script again

        pool = ProcessPoolExecutor(workers, initializer=_ignore_interrupts)
        futures: dict[Future[Result], int] = {}
        try:
            with _signals_held_back():  # a half-started pool's processes would never end
                for number, job in left.items():
                    futures[pool.submit(work, *job)] = number
            for future in as_completed(futures):
                result = future.result()
                del left[futures[future]]
                yield result
        except BrokenProcessPool:
            progress.note(
                "A worker process died, perhaps because memory ran out: the remaining work is done in this process"
            )
        finally:
            for future in futures:
                future.cancel()
            pool.shutdown(wait=True)
    for job in left.values():
        yield work(*job)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Signals that come during the block are handled after it: their handlers may raise, in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    former: dict[int, Any] = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in former:
        signal.signal(number, lambda *given: came.append(given))
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    for received, frame in came:
        former[received](received, frame)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process handles Ctrl-C and lets running jobs finish
