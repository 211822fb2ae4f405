"""The launcher `submitit`: a Slurm job per run."""

from __future__ import annotations

import math
import subprocess
import zlib
from pathlib import Path
from typing import Any

from gantk.errors import TrainingError, UsageError
from gantk.launching.job import Handle, Job
from gantk.launching.processes import torchrun
from gantk.ranges import Count, Positive, Whole

__all__ = ["Submitit", "carry_out"]


class Submitit:
    """Runs as jobs of a Slurm cluster with access to the same folders; needs the extra `slurm` (submitit).

    Args:
        workers: largest number of jobs at once; 0 for all.
        partition: Slurm's partition; empty for the cluster's default.
        hours: time limit of a job.
        cpus: cores per node.
        nodes: number of machines of a job, which train one run together.
        gpus_per_node: GPUs per node.
        processes: processes of a run per node; 0 for one per GPU.
        memory: memory per node, in GB.
        cluster: `slurm`, or `local` for a test without a cluster.
    """

    here = False

    def __init__(
        self,
        workers: Whole = 0,
        partition: str = "",
        hours: Positive = 24.0,
        cpus: Count = 4,
        nodes: Count = 1,
        gpus_per_node: Whole = 0,
        processes: Whole = 0,
        memory: Count = 16,
        cluster: str = "slurm",
    ) -> None:
        try:
            import submitit
        except ImportError as error:
            raise UsageError(
                "the launcher `submitit` needs the package submitit",
                why=error,
                mend="install it with `pip install 'gantk[slurm]'`, or use --launcher local",
            ) from error
        self._submitit: Any = submitit
        self.workers = workers
        self.cluster = cluster
        self.nodes, self.processes = nodes, processes or max(1, gpus_per_node)
        self.parameters: dict[str, Any] = {
            "timeout_min": math.ceil(hours * 60),
            "cpus_per_task": cpus,
            "nodes": nodes,
            "tasks_per_node": 1,
            "gpus_per_node": gpus_per_node,
            "mem_gb": memory,
        }
        if partition:
            self.parameters["slurm_partition"] = partition

    def start(self, job: Job) -> Handle:
        try:
            executor = self._submitit.AutoExecutor(folder=str(job.folder / "slurm"), cluster=self.cluster)
            executor.update_parameters(name=job.name, **self.parameters)
            work = (carry_out, list(job.command), str(job.log or ""), self.nodes, self.processes)
            return _Submitted(executor.submit(*work))
        except Exception as error:  # submitit's errors have no root of their own
            raise TrainingError(
                "the run cannot be submitted",
                where=job.folder,
                why=error,
                mend="correct the launcher's parameters (--launch KEY=VALUE)",
            ) from error


def carry_out(command: list[str], log: str, nodes: int = 1, processes: int = 1) -> int:
    """Run a command on each node of a job, write its output to a file, and return its exit code.

    With several nodes or processes, torchrun starts them; the file has the output of the first node.
    """
    if nodes * processes > 1:
        import submitit

        place = submitit.JobEnvironment()
        first = place.hostnames[0] if nodes > 1 else "localhost"
        # on one machine any free port; on several machines a port that all know and other jobs are unlikely to use
        port = 30000 + zlib.crc32(place.job_id.encode()) % 20000 if nodes > 1 else 0
        command = torchrun(command, nodes, processes, f"{first}:{port}", place.job_id)
        log = "" if place.node else log
    if not log:
        return subprocess.run(command, check=False).returncode
    with Path(log).open("ab") as file:
        return subprocess.run(command, stdout=file, stderr=file, check=False).returncode


class _Submitted:
    """A Slurm job; a job ended by the cluster has no exit code and counts as failed."""

    def __init__(self, job: Any) -> None:
        self.job = job

    def poll(self) -> int | None:
        if not self.job.done():
            return None
        try:
            return max(abs(int(code)) for code in self.job.results())  # one for each node
        except Exception:  # the node died, the time was over, or it was cancelled: submitit raises for each
            return 1

    def stop(self) -> None:
        self.job.cancel(check=False)

    def kill(self) -> None:
        self.job.cancel(check=False)
