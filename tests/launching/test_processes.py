"""The command that starts one run in several processes, and how these end."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher import api

from gantk.launching.processes import run_processes, torchrun


def test_torchrun_stands_before_the_module() -> None:
    command = ["python", "-u", "-m", "gantk", "run", "x.toml", "-m"]
    assert torchrun(command, 2, 4, "host:29500", "sweep") == [
        *["python", "-u", "-m", "torch.distributed.run"],
        *["--nnodes=2", "--nproc-per-node=4", "--rdzv-id=sweep", "--rdzv-backend=c10d"],
        *["--rdzv-endpoint=host:29500", "-m", "gantk", "run", "x.toml", "-m"],
    ]


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        (None, 0),
        (ChildFailedError("gantk", {0: ProcessFailure(0, 1, 2, "none")}), 2),
        (ChildFailedError("gantk", {0: ProcessFailure(0, 1, -9, "none")}), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_the_line_is_started_again_and_its_exit_code_is_theirs(
    monkeypatch: pytest.MonkeyPatch, ends: BaseException | None, code: int
) -> None:
    asked: list[Any] = []

    def launch(config: Any, program: Any) -> Any:
        def start(*arguments: Any) -> None:
            asked.extend((config.nproc_per_node, program, arguments))
            if ends is not None:
                raise ends

        return start

    monkeypatch.setattr(api, "elastic_launch", launch)
    monkeypatch.setattr(sys, "argv", ["gantk", "run", "x.toml", "--processes", "2"])
    monkeypatch.setattr("gantk.launching.processes.cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert run_processes(2) == code
    count, program, arguments = asked
    assert count == 2
    assert program == sys.executable
    assert list(arguments)[-6:] == ["-m", "gantk", "run", "x.toml", "--processes", "2"]
    assert os.environ["OMP_NUM_THREADS"] == "4", "the cores are shared out"
