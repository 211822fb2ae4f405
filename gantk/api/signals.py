"""SIGINT, SIGTERM and SIGUSR1 (a scheduler's warning): save and stop while training, stop at once elsewhere."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from gantk.ranks import world_size

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


class StopSignals:
    """While entered, the first signal during training asks for a stop after the step; any other interrupts at once.

    After an error in one of several processes, SIGTERM stays ignored.

    Attributes:
        training: whether training is under way.
        asked: whether a stop was asked for.
        over: whether only the final report is left, which no signal interrupts.
    """

    def __init__(self) -> None:
        self.training = False
        self.asked = False
        self.over = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        # once one of several processes has ended, torchrun stops the others, and the first could not say the reason
        ignored = [signal.SIGTERM] if failure is not None and world_size() > 1 else []
        for number, handler in self._former.items():
            signal.signal(number, signal.SIG_IGN if number in ignored else handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.over:
            return
        if not self.training or self.asked:
            raise KeyboardInterrupt
        self.asked = True
