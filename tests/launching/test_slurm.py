"""The launcher `submitit`, against a stand-in for the package: what it is told, and what its answers become."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gantk.errors import TrainingError, UsageError
from gantk.launching import Job
from gantk.launching.slurm import Submitit, carry_out
from gantk.plugins import Registry


class FakeJob:
    """Ends when it is told to; `result` raises as submitit's does for a job that the cluster ended."""

    def __init__(self, work: Callable[[], int]) -> None:
        self.work = work
        self.is_done, self.is_lost = False, False
        self.cancelled = 0

    def done(self) -> bool:
        return self.is_done

    def result(self) -> int:
        if self.is_lost:
            raise RuntimeError("Job has not produced any output (state: TIMEOUT)")
        return self.work()

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
    parameters = {"partition": "gpu", "hours": 1.5, "gpus": 1, "workers": 3}
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
        "gpus_per_node": 1,
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
