"""Signals: a stop after the step while training, an interruption elsewhere, nothing at the end."""

from __future__ import annotations

import signal
import threading

import pytest

from gantk.api.signals import StopSignals

ALL = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]


@pytest.mark.parametrize("number", ALL)
def test_the_first_one_asks_and_the_second_interrupts(number: signal.Signals) -> None:
    with StopSignals() as stop:
        stop.training = True
        signal.raise_signal(number)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_outside_training_the_first_one_interrupts() -> None:
    with StopSignals() as stop:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert not stop.asked


def test_the_final_report_is_not_interrupted() -> None:
    with StopSignals() as stop:
        stop.training, stop.over = True, True
        signal.raise_signal(signal.SIGINT)
        assert not stop.asked


def test_former_handlers_come_back_and_threads_have_none() -> None:
    before = [signal.getsignal(number) for number in ALL]
    with StopSignals():
        assert [signal.getsignal(number) for number in ALL] != before
    assert [signal.getsignal(number) for number in ALL] == before

    def enter() -> None:
        with StopSignals():
            seen.extend(signal.getsignal(number) for number in ALL)

    seen: list[object] = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == before


def test_after_a_failure_of_one_of_several_processes_torchrun_does_not_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    before, others = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(ValueError, match="reason"), StopSignals():
            raise ValueError("reason")
        signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGINT) == others
    finally:
        signal.signal(signal.SIGTERM, before)
