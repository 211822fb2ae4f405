"""One run on several processes of this machine, as torchrun starts them."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Sequence

from gantk.errors import Interrupted

__all__ = ["run_processes", "torchrun"]


def torchrun(command: Sequence[str], nodes: int, processes: int, meeting: str, name: str) -> list[str]:
    """The command that starts one of gantk, `python … -m gantk …`, in processes that train together.

    Args:
        command: that of one process.
        nodes: machines, each of which starts this command.
        processes: on each machine.
        meeting: `HOST:PORT` where the machines find each other.
        name: of what they do together, the same on all.
    """
    place = list(command).index("-m")
    how = [f"--nnodes={nodes}", f"--nproc-per-node={processes}", f"--rdzv-id={name}"]
    where = ["--rdzv-backend=c10d", f"--rdzv-endpoint={meeting}"]
    return [*command[:place], "-m", "torch.distributed.run", *how, *where, *command[place:]]


def run_processes(count: int) -> int:
    """Start this command's line again in several processes that train together; the exit code when they have ended."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch
    from torch.distributed.run import config_from_args, parse_args

    # torchrun's own choice is one thread each, whatever the cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
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
