"""One run on several processes of this machine."""

from __future__ import annotations

import os
import sys

__all__ = ["become_torchrun"]


def become_torchrun(processes: int) -> None:
    """Give this process up for a torchrun that starts the same command on several processes."""
    # torchrun's own choice is one thread each, whatever the cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    sys.stdout.flush()
    os.execv(sys.executable, [*start, "-m", "gantk", *sys.argv[1:]])
