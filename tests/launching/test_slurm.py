"""The launcher `submitit`, against a stand-in for the package: its jobs and the handling of results."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gantk.errors import TrainingError, UsageError
from gantk.launching import Job
from gantk.launching.slurm import Submitit, carry_out
from gantk.plugins import Registry
from waiting import until


class FakeJob:
    """A job that ends on command; `results` raises, as in submitit, if the cluster ended the job."""

    def __init__(self, work: Callable[[], int]) -> None:
        self.work = work
        self.is_done, self.is_lost = False, False
        self.cancelled = 0

    def done(self) -> bool:
        return self.is_done

    def results(self) -> list[int]:
        if self.is_lost:
            raise RuntimeError("Job has not produced any output (state: TIMEOUT)")
        return [0, self.work()]  # of two nodes

    def cancel(self, check: bool = True) -> None:
        self.cancelled += 1


class FakeExecutor:
    made: list[FakeExecutor] = []  # noqa: RUF012

    def __init__(self, folder: str, cluster: str | None = None) -> None:
        self.folder, self.cluster = folder, cluster
        self.parameters: dict[str, Any] = {}
        self.jobs: list[FakeJob] = []
        self.made.append(self)

    def update_parameters(self, **parameters: Any) -> None:
        if "slurm_partition" in parameters and parameters["slurm_partition"] == "nowhere":
            raise ValueError("invalid partition specified: nowhere")
        self.parameters |= parameters

    def submit(self, function: Callable[..., int], *arguments: Any) -> FakeJob:
        self.jobs.append(FakeJob(lambda: function(*arguments)))
        return self.jobs[-1]


@pytest.fixture
def submitit(monkeypatch: pytest.MonkeyPatch) -> type[FakeExecutor]:
    module = ModuleType("submitit")
    module.AutoExecutor = FakeExecutor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "submitit", module)
    FakeExecutor.made.clear()
    return FakeExecutor


def job(folder: Path, code: str = "print('hello')") -> Job:
    return Job("full-seed-0", [sys.executable, "-S", "-c", code], folder, folder / "log.txt")


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UsageError, match="submitit") as caught:
        Submitit()
    assert "gantk[slurm]" in str(caught.value)


def test_it_is_told_what_the_command_line_says(submitit: Any, registry: Registry, tmp_path: Path) -> None:
    component = registry.get("launcher", "submitit")
    parameters = {"partition": "gpu", "hours": 1.5, "nodes": 2, "gpus_per_node": 4, "workers": 3}
    launcher = component.build(parameters, "--launch")
    assert (launcher.workers, launcher.here) == (3, False)
    launcher.start(job(tmp_path))
    (executor,) = submitit.made
    assert executor.cluster == "slurm"
    assert Path(executor.folder).parent == tmp_path
    assert executor.parameters == {
        "name": "full-seed-0",
        "slurm_partition": "gpu",
        "timeout_min": 90,
        "nodes": 2,
        "tasks_per_node": 1,
        "gpus_per_node": 4,
        "cpus_per_task": 4,
        "mem_gb": 16,
    }
    assert Submitit().workers == 0  # the cluster's own queue decides


def test_a_job_runs_its_command_and_gives_its_exit_code(submitit: Any, tmp_path: Path) -> None:
    for code, wanted in (("print('hello')", 0), ("raise SystemExit(3)", 3)):
        handle = Submitit().start(job(tmp_path, code))
        assert handle.poll() is None
        submitit.made[-1].jobs[0].is_done = True
        assert handle.poll() == wanted
    assert (tmp_path / "log.txt").read_text() == "hello\n"
    assert carry_out([sys.executable, "-S", "-c", "pass"], "") == 0


def test_a_job_that_the_cluster_ended_has_failed(submitit: Any, tmp_path: Path) -> None:
    handle = Submitit().start(job(tmp_path))
    fake = submitit.made[-1].jobs[0]
    fake.is_done = fake.is_lost = True
    assert handle.poll() == 1


def test_it_can_be_cancelled(submitit: Any, tmp_path: Path) -> None:
    handle = Submitit().start(job(tmp_path))
    handle.stop()
    handle.kill()
    assert submitit.made[-1].jobs[0].cancelled == 2


def test_a_refused_job_is_explained(submitit: Any, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nowhere") as caught:
        Submitit(partition="nowhere").start(job(tmp_path))
    assert "--launch" in str(caught.value)


# each waits until both have spoken: torchrun ends the other one as soon as one has failed
RANKS = """
import os, sys, time
from pathlib import Path
print(os.environ["RANK"], os.environ["WORLD_SIZE"], flush=True)
Path(__file__).with_name("said-" + os.environ["RANK"]).touch()
while len(list(Path(__file__).parent.glob("said-*"))) < 2:
    time.sleep(0.05)
sys.exit({code})
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 3])
def test_a_real_job_of_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """submitit's own local jobs, and torchrun in them."""
    (tmp_path / "speaks.py").write_text(RANKS.format(code=code))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    command = [sys.executable, "-m", "speaks"]
    launcher = Submitit(cluster="local", processes=2, cpus=1, memory=1)
    handle = launcher.start(Job("two", command, tmp_path, tmp_path / "log.txt"))
    until(lambda: handle.poll() is not None, 500)
    said = (tmp_path / "log.txt").read_text()
    assert {"0 2", "1 2"} <= set(said.splitlines()), said
    assert (handle.poll() == 0) == (code == 0)


def test_nodes_meet_at_the_first_one(submitit: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same command on every node, and the first one's output in the log."""
    place = SimpleNamespace(hostnames=["gpu7", "gpu9"], job_id="4711", node=0)
    monkeypatch.setattr(sys.modules["submitit"], "JobEnvironment", lambda: place, raising=False)
    started: list[tuple[list[str], bool]] = []
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **said: (
            started.append((command, "stdout" in said)),
            subprocess.CompletedProcess(command, 0),
        )[1],
    )
    for place.node in (0, 1):
        assert carry_out(["python", "-P", "-m", "gantk", "run"], str(tmp_path / "log.txt"), 2, 4) == 0
    (one, logged), (other, silent) = started
    assert one == other
    assert (logged, silent) == (True, False)
    assert one[:6] == ["python", "-P", "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=4"]
    assert next(part for part in one if "endpoint" in part).startswith("--rdzv-endpoint=gpu7:")
    assert one[-3:] == ["-m", "gantk", "run"]
