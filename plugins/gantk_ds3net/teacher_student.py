"""The two-stage schedule of a teacher and its student (DS³-Net, section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from gantk import Control, Count, MetricName, NonNegative, RecipeError, Role, Scheduler, Stage, Whole

Part = Literal["generator", "heads", "discriminator"]


class TeacherStudent(Scheduler):
    """Stage `teacher`: the teacher (and a committee) until it converges. Stage `joint`: teacher and student together.

    The teacher enters the second stage with the weights that it had `rewind` epochs before convergence, at a fraction
    of its rates; the student starts with the same weights, at full rates. Every rate decays linearly to 0 over its
    stage. The student's terms are weighted by 1 − t/T in epoch t of the second stage's T: L = Lᵀ + (1 − t/T)·Lˢ.

    Convergence: in an epoch with validation, the monitored metric of the teacher has not improved by more than
    `min_delta` for `patience` epochs. If this never happens, the last epoch counts.

    Args:
        teacher_epochs: length of the first stage, at most.
        joint_epochs: length T of the second stage.
        teacher: the teacher's role.
        student: the student's role; without it, the second stage trains the teacher alone (paired only).
        committee: further roles that train with the teacher in the first stage and are not trained in the second.
        rewind: number of epochs before convergence from which the second stage takes the weights.
        monitor: validation metric that determines convergence.
        better: whether higher or lower values of the metric are better.
        min_delta: smallest change that counts as an improvement.
        patience: epochs without improvement until convergence.
        joint_teacher_rate: factor on the teacher's rates in the second stage.
        student_starts_from: parts of the teacher whose weights the student starts with.
        student_weight: 1 − t/T (linear), or always 1 (constant).

    Raises:
        RecipeError: a role of the committee is named twice, or is the teacher or the student.
    """

    def __init__(
        self,
        teacher_epochs: Count = 100,
        joint_epochs: Count = 100,
        teacher: Role = Role("teacher"),
        student: Role | None = None,
        committee: tuple[Role, ...] = (),
        rewind: Whole = 5,
        monitor: MetricName = MetricName("ssim"),
        better: Literal["higher", "lower"] = "higher",
        min_delta: NonNegative = 0.001,
        patience: Count = 5,
        joint_teacher_rate: NonNegative = 0.2,
        student_starts_from: tuple[Part, ...] = ("generator", "heads", "discriminator"),
        student_weight: Literal["linear", "constant"] = "linear",
    ) -> None:
        super().__init__(teacher_epochs + joint_epochs)
        roles = [teacher, *filter(None, [student]), *committee]
        if twice := next((role for role in committee if roles.count(role) > 1), None):
            raise RecipeError(
                f"the schedule names {twice!r} twice",
                where="schedule.committee",
                mend="in committee, name each role once, and neither the teacher nor the student",
            )
        self.teacher_epochs = teacher_epochs
        self.joint_epochs = joint_epochs
        self.teacher = teacher
        self.student = student
        self.committee = committee
        self.rewind = rewind
        self.monitor = monitor
        self.better = better
        self.min_delta = min_delta
        self.patience = patience
        self.joint_teacher_rate = joint_teacher_rate
        self.student_starts_from = student_starts_from
        self.student_weight = student_weight
        self.best: float | None = None
        self.best_epoch = 0
        self.converged: int | None = None
        self.latest: int | None = None
        self.stopped = False

    def stages(self, roles: Sequence[str]) -> list[Stage]:
        joint = (self.teacher,) if self.student is None else (self.teacher, self.student)
        return [
            Stage("teacher", self.teacher_epochs, (self.teacher, *self.committee), history=self.rewind),
            Stage("joint", self.joint_epochs, joint),
        ]

    def rate(self, stage: Stage, role: str, part: str, epoch: int) -> float:
        decay = 1 - epoch / stage.epochs
        lowered = stage.name == "joint" and role == self.teacher
        return decay * (self.joint_teacher_rate if lowered else 1.0)

    def weight(self, stage: Stage, role: str, epoch: int) -> float:
        if role != self.student or self.student_weight == "constant":
            return 1.0
        return 1 - epoch / stage.epochs

    def before_stage(self, stage: Stage, control: Control) -> None:
        if stage.name != "joint" or self.latest is None:
            return
        if self.converged is None:  # another scheduler ended the stage
            self.converged = self.latest
        epoch = max(0, self.converged - self.rewind)
        if self.rewind:  # else it has these weights
            control.restore(self.teacher, "teacher", epoch)
        last = self.converged + 1
        ended = f"converged in epoch {last}" if self.stopped else f"reached its last epoch, {last}, before it converged"
        control.note(f"the teacher {ended}; it continues with its weights of epoch {epoch + 1}")
        if self.student is not None:
            control.copy(self.teacher, self.student, self.student_starts_from)

    def after_epoch(self, stage: Stage, epoch: int, metrics: Mapping[str, float], control: Control) -> bool:
        if stage.name != "teacher":
            return False
        self.latest = epoch
        value = metrics.get(f"{self.teacher}/{self.monitor}", math.nan)
        if self._improves(value):
            self.best, self.best_epoch = value, epoch
        self.stopped = not math.isnan(value) and epoch - self.best_epoch >= self.patience
        if self.stopped or epoch + 1 == stage.epochs:
            self.converged = epoch
        return self.converged is not None

    def _improves(self, value: float) -> bool:
        if self.best is None:
            return not math.isnan(value)
        gain = value - self.best if self.better == "higher" else self.best - value
        return gain > self.min_delta

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "converged": self.converged,
            "latest": self.latest,
            "stopped": self.stopped,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best, self.best_epoch, self.converged = state["best"], state["best_epoch"], state["converged"]
        self.latest = state.get("latest", self.converged)  # older states lack it, and the next
        self.stopped = state.get("stopped", False)
