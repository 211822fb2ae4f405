"""A cohort of tiny patients, a recipe that trains on them in seconds, and processes to run it in."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from gantk.api.cohort import open_cohort
from gantk.evaluation.results import Evaluation
from gantk.plugins import load_plugins
from gantk.progress import QuietProgress
from gantk.recipe import load_recipe
from gantk.testing.cohort import write_volume
from waiting import until

#: The fixtures, for a folder's `conftest.py`.
__all__ = [
    "cohort",
    "finished",
    "make_patient",
    "make_volume",
    "options",
    "own_recipe",
    "patients",
    "recipe",
    "server",
    "surroundings",
    "uninterrupted",
]

SHAPE = (30, 34, 8)
MODALITIES = ("t1", "t2", "t1ce")

RECIPE = """
name = "tiny"
predict = "student"

[data]
dataset = "brats"
root = "{root}"
inputs = ["t1", "t2"]
target = "t1ce"
crop = [32, 32]
paired_fraction = 0.5
batch = {{ paired = 1, unpaired = 2 }}
steps_per_epoch = 3

[translators.teacher]
generator = {{ use = "ds3", channels = 4, blocks = 1, dropout = 0.2 }}
discriminator = {{ use = "patchgan", channels = 4, layers = 1 }}

[translators.teacher.optimizer]
use = "adamw"
rates = {{ generator = 1e-3, heads = 1e-3, discriminator = 1e-3 }}

[translators.student]
like = "teacher"

[maps.difficulty]
use = "difficulty"
stages = ["joint"]

[losses.pixelwise]
use = "l1"
on = "teacher"
map = "difficulty"
weight = 100

[losses.patchwise]
use = "patch_nce"
on = "teacher"
map = "difficulty"
layers = [0, 4]
patches = 16
width = 8

[losses.adversarial]
use = "lsgan"
on = "teacher"

[losses.distillation]
use = "image_distillation"
on = "student"
group = "unpaired"
map = "difficulty"
teacher = "teacher"

[losses.student_adversarial]
use = "lsgan"
on = "student"
group = "unpaired"
real = "paired.target"

[schedule]
use = "teacher_student"
teacher = "teacher"
student = "student"
teacher_epochs = 3
joint_epochs = 2
rewind = 1
patience = 1
min_delta = 0.5

[training]
checkpoint_every = 2
validation_slices = 2
panels_every = 100
panel_slices = 1

[evaluation]
metrics = ["mse", "ssim"]
regions = ["image"]
examples = 1

[tracking]
enabled = false
"""


def write_patient(folder: Path, seed: int, modalities: Sequence[str] = MODALITIES, tumour: bool = True) -> Path:
    """A brain of noise about a smooth pattern, with a tumour in its middle slices."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    brain = x**2 + y**2 + z**2 < 0.8
    for number, name in enumerate(modalities):
        image = brain * (300 + 100 * np.sin(3 * x * (number + 1) + seed) + rng.uniform(0, 20, SHAPE))
        write_volume(folder / f"{folder.name}_{name}.nii.gz", image.astype(np.int16))
    labels = np.zeros(SHAPE, np.uint8)
    if tumour:
        labels[12:20, 14:20, 2:6] = 2
        labels[14:18, 15:18, 3:5] = 4
    write_volume(folder / f"{folder.name}_seg.nii.gz", labels)
    return folder


def write_cohort(root: Path, patients: int = 10) -> Path:
    for number in range(patients):
        write_patient(root / f"P{number}", number)
    return root


def toml(path: Path) -> str:
    return path.as_posix()


# drawing a report takes longer than the run, and has other tests
NO_REPORT = "import gantk.report.html as html; html.write_report = lambda folder: folder / 'report.html'"
OPTIONS = {
    "plain": [],
    "ema": ["training.ema=0.9"],
    "accumulation": ["training.accumulate=2"],
    "bf16": ["run.precision=bf16"],
    "fp16": ["run.precision=fp16"],
    "channels-last": ["training.channels_last=true"],
    "groups": [
        "translators.teacher.optimizer={use='timm', name='lion', rates={generator=1e-4}, groups=[{match='*.bias', "
        "rate=0}, {match='*', part='discriminator', rate=1e-3, stages=['joint']}]}",
    ],
    "balance": ["balance={use='uncertainty', terms=['pixelwise', 'patchwise']}"],
    "shown": [
        "translators.teacher.shown={use='ada', images=20, every=1}",
        "translators.student.shown={use='diff_augment'}",
        "translators.teacher.discriminator={use='multiscale_patchgan', scales=2, channels=2, layers=1}",
        "losses.penalty={use='r1', on='teacher', every=2}",
    ],
    "augmented": [
        "transforms.strong={use='affine', on_request=true}",
        "losses.agreement={use='consistency', on='student', group='unpaired', teacher='teacher', augmented='strong'}",
    ],
    "volumes": [
        "data.dimensions=3",
        "data.patch=[8, 16, 16]",
        "data.patches=2",
        "data.core_fraction=0.5",
        "transforms.flip={use='flip'}",
        "inference.overlap=0.25",
    ],
    "volumes-hard": [
        "data.dimensions=3",
        "data.patch=[8, 16, 16]",
        "data.patches=2",
        "data.sampler={use='hard', strength=2.0}",
        "inference.window=[8, 32, 32]",
    ],
    "committee": [
        "data.batch.paired:1/2=1",
        "data.batch.paired:2/2=1",
        "translators.teacher.residual=t1",
        "translators.first={like='teacher'}",
        "translators.second={like='teacher'}",
        "losses.first={use='l1', on='first', group='paired:1/2'}",
        "losses.second={use='l1', on='second', group='paired:2/2'}",
        "losses.agreement={use='committee_distillation', on='student', group='unpaired', teachers=['first', 'second']}",
        "schedule.committee=['first', 'second']",
    ],
}


# Children are forked, because importing torch and drawing a report take longer than the run.
# They are separate processes all the same, with a log, signals and an exit code.
FORKED = """
import os, signal, sys, types
import gantk.launching.local as local
from gantk.cli.main import main

class Forked:
    def __init__(self, command, *, stdout, env, **_):
        self.returncode = None
        self.pid = os.fork()
        if self.pid:
            return
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for stream in (1, 2):
            os.dup2(stdout.fileno(), stream)
        os.environ.update(env)
        os.environ.pop(local.VARIABLE)  # a fork holds both ends of it
        sys.argv = ["gantk", *command[command.index("run"):]]
        code = 70
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def wait(self, flags=0):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, flags)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def poll(self):
        return self.wait(os.WNOHANG)

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

local.subprocess = types.SimpleNamespace(Popen=Forked, DEVNULL=None)
"""


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the tests' own, one thread, nothing on the network."""
    patch = pytest.MonkeyPatch()
    patch.setenv("GANTK_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setenv("OMP_NUM_THREADS", "1")
    patch.setenv("COLUMNS", "1000")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    patch.undo()


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory, surroundings: None) -> Path:
    """Ten patients with all images."""
    return write_cohort(tmp_path_factory.mktemp("patients"))


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory, cohort: Path) -> Path:
    """Teacher and student, five epochs of three steps, its slices in the cache."""
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(RECIPE.format(root=toml(cohort)))
    open_cohort(load_recipe(path), load_plugins().registry, QuietProgress())
    return path


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """A cohort that only this test uses and may damage."""
    return write_cohort(tmp_path / "patients")


@pytest.fixture
def own_recipe(tmp_path: Path, patients: Path) -> Path:
    """The recipe, on the test's own cohort."""
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE.format(root=toml(patients)))
    return path


@pytest.fixture(scope="session")
def make_patient() -> Callable[..., Path]:
    return write_patient


@pytest.fixture(scope="session")
def make_volume() -> Callable[..., Path]:
    return write_volume


@dataclass
class Process:
    """A running `gantk` command in a separate process."""

    server: Server
    pid: int
    folder: Path

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, unless the process has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self) -> int:
        """The exit code, negative for the signal that ended it."""
        code = int(self.server.say())
        self.server.under_way = None
        return code

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    @property
    def run(self) -> Path:
        """The run's folder, waited for."""
        return until(
            lambda: next(
                (p.parent for p in self.folder.glob("runs/[!.]*/recipe.toml")), None
            )  # a hidden one is half-made
        )


class Server:
    """Starts commands, one at a time."""

    def __init__(self) -> None:
        self.under_way: Process | None = None
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forks.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server died"
        return line

    def start(self, folder: Path, *arguments: str | Path, before: str = "") -> Process:
        """`gantk ARGUMENTS` in a folder; `before` is Python that the process executes first."""
        if self.under_way is not None:  # left by a failed test
            self.under_way.kill()
            self.under_way.wait()
        assert self.process.stdin is not None
        before = f"{NO_REPORT}\n{before}"
        request = {"cwd": str(folder), "arguments": [str(a) for a in arguments], "before": before}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        self.under_way = Process(self, int(self.say()), folder)
        return self.under_way


@pytest.fixture(scope="session")
def server(surroundings: None) -> Iterator[Server]:
    server = Server()
    yield server
    assert server.process.stdin is not None
    if server.under_way is not None:  # left by a failed test
        server.under_way.kill()
    server.process.stdin.close()
    server.process.wait(120)


@pytest.fixture(scope="session")
def options() -> Callable[[str], list[str]]:
    """The command's arguments for a way of training."""
    return lambda kind: [part for option in OPTIONS[kind] for part in ("--set", option)]


@pytest.fixture(scope="session")
def uninterrupted(
    server: Server, recipe: Path, options: Callable[[str], list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Runs by their options, each made once and never stopped."""
    made: dict[str, Path] = {}

    def run(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            process = server.start(folder, "run", recipe, *options(kind))
            assert process.wait() == 0, process.output
            made[kind] = process.run
        return made[kind]

    return run


@pytest.fixture
def finished(uninterrupted: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run that the test may damage, without evaluation and report, which are slow."""
    reference = uninterrupted("plain")
    kept = Evaluation.read(reference / "evaluation")
    for module in ("course", "remeasure"):
        monkeypatch.setattr(f"gantk.api.{module}.assess", lambda *_: kept)
    monkeypatch.setattr("gantk.report.html.draw_chart", lambda *_, **__: "")
    monkeypatch.setattr("gantk.report.html.draw_figure", lambda *_: np.zeros((2, 2, 3), np.uint8))
    monkeypatch.setattr("gantk.report.relations.save_figure", lambda *_: None)
    monkeypatch.setattr("gantk.report.relations.draw_comparison", lambda *_: None)
    return Path(shutil.copytree(reference, tmp_path / "runs" / reference.name))
