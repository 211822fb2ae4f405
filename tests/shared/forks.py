"""Runs the command `gantk` in forked processes, one per line of standard input: real ones to kill."""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback

import torch

import gantk.api.runner
import gantk.report.html
import gantk.workers
from gantk.cli.main import main
from gantk.plugins import load_plugins


def child(request: dict[str, object]) -> None:
    os.chdir(request["cwd"])
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv = ["gantk", *request["arguments"]]
    code = 70
    try:
        exec(request["before"], {})
        main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    torch.set_num_threads(1)
    gantk.workers.cores = lambda: 1  # preparing tiny patients is not worth a worker
    torch.ones(8, 8) @ torch.ones(8, 8)
    load_plugins()
    gc.freeze()  # collecting in a fork would copy every page
    assert gantk.api.runner
    assert gantk.report.html
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            child(json.loads(line))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
