"""One run on several processes of this machine, as torchrun starts them."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Sequence

from gantk.errors import Interrupted
from gantk.workers import cores

__all__ = ["run_processes", "torchrun"]


def torchrun(command: Sequence[str], nodes: int, processes: int, meeting: str, name: str) -> list[str]:
    """The torchrun command that starts a gantk command, `python … -m gantk …`, in processes that train together.

    Args:
        command: the command of one process.
        nodes: number of machines; each starts the torchrun command.
        processes: number of processes on each machine.
        meeting: `HOST:PORT` at which the machines find each other.
        name: the name of their common job, the same on all machines.
    """
    place = list(command).index("-m")
    how = [f"--nnodes={nodes}", f"--nproc-per-node={processes}", f"--rdzv-id={name}"]
    where = ["--rdzv-backend=c10d", f"--rdzv-endpoint={meeting}"]
    return [*command[:place], "-m", "torch.distributed.run", *how, *where, *command[place:]]


def run_processes(count: int) -> int:
    """Start this command line again in several processes that train together; return the exit code at the end."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch
    from torch.distributed.run import config_from_args, parse_args

    # torchrun's own choice is one thread each, whatever the cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // count)))
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the processes say what went wrong
    meeting = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", f"--rdzv-id={uuid.uuid4()}"]
    settings = parse_args([*meeting, f"--nproc-per-node={count}", "-m", "gantk", *sys.argv[1:]])
    config, program, arguments = config_from_args(settings)
    try:
        elastic_launch(config, program)(*arguments)
    except ChildFailedError as error:
        return max(1, error.get_first_failure()[1].exitcode)
    except (SignalException, KeyboardInterrupt):
        return Interrupted.exit_code
    return 0
