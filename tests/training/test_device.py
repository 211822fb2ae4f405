"""How exactly a device computes: half precision with its scaler, and torch's switches for a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.amp.grad_scaler import GradScaler

from gantk.errors import (
    TrainingError,
    UsageError,
)
from gantk.recipe import RunSettings
from gantk.training.device import autocasting, computing, images_at_once, make_scaler, pick_device

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", None), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_networks_run_in_the_precision_asked_for(precision: Any, dtype: torch.dtype | None) -> None:
    with autocasting(CPU, precision)():
        made = torch.nn.Linear(2, 2)(torch.ones(1, 2))
    assert made.dtype == (dtype or torch.float32)
    assert make_scaler(CPU, precision).is_enabled() == (precision == "fp16")


def test_the_default_device_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTK_DEVICE", "cpu:0")
    assert pick_device() == torch.device("cpu:0")
    assert pick_device("cpu") == CPU
    monkeypatch.setenv("GANTK_DEVICE", "gpu")
    with pytest.raises(UsageError, match=r"GANTK_DEVICE: the device 'gpu' cannot be used"):
        pick_device()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_scaled_step_is_the_plain_step(bench: Any, losses: Any, batch: Any, accumulate: int) -> None:
    """Its factor is a power of 2, which a gradient in single precision does not feel, and is taken out again."""
    terms = {"pixelwise": losses["pixelwise"](), "adversarial": losses["adversarial"]()}
    plain, scaled = (bench(terms, accumulate=accumulate, clip_gradients=0.01) for _ in range(2))
    scaled.updater.scalers = {side: GradScaler("cpu") for side in ("generator", "discriminator")}
    for seed in range(2):
        batches = [batch(1, seed + number) for number in range(accumulate)]
        assert scaled.step(*batches) == pytest.approx(plain.step(*batches), rel=1e-6)
    for part in ("generator", "discriminator"):
        assert torch.allclose(scaled.weights(part), plain.weights(part), rtol=1e-6, atol=1e-9)


def test_an_update_that_overflows_is_left_out_on_its_side_alone(bench: Any, losses: Any, batch: Any) -> None:
    terms = {"pixelwise": losses["pixelwise"](), "adversarial": losses["adversarial"]()}
    tested = bench(terms, clip_gradients=1.0)
    tested.updater.scalers = {
        "generator": GradScaler("cpu", init_scale=2.0**127),
        "discriminator": GradScaler("cpu", init_scale=2.0**4),
    }
    before = {part: tested.weights(part) for part in ("generator", "discriminator")}
    values = tested.step(batch(1, 0), weight=1e6)
    assert all(torch.isfinite(torch.tensor(value)) for value in values.values())
    assert torch.equal(tested.weights("generator"), before["generator"])
    assert not torch.equal(tested.weights("discriminator"), before["discriminator"])
    assert tested.updater.scalers["generator"].get_scale() == 2.0**126
    assert tested.updater.scalers["discriminator"].get_scale() == 2.0**4


def test_switches_hold_for_a_run_alone() -> None:
    def switches() -> tuple[bool, ...]:
        return (
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.allow_tf32,
            torch.backends.cuda.matmul.allow_tf32,
            torch.are_deterministic_algorithms_enabled(),
        )

    before = switches()
    with computing(torch.device("cuda"), RunSettings()):
        assert switches() == (True, False, False, False)
    with computing(torch.device("cuda"), RunSettings(tf32=True, deterministic=True)):
        assert switches() == (False, True, True, True)
    assert switches() == before
    said = "reflection_pad2d_backward_cuda does not have a deterministic implementation"
    with (
        pytest.raises(
            TrainingError, match=r"reflection_pad2d_backward_cuda has no deterministic implementation on cuda"
        ),
        computing(torch.device("cuda"), RunSettings(deterministic=True)),
    ):
        raise RuntimeError(said)
    assert switches() == before
    with pytest.raises(RuntimeError, match="something else"), computing(CPU, SimpleNamespace(**vars(RunSettings()))):
        raise RuntimeError("something else")


def test_a_cpu_translates_few_large_images_at_once() -> None:
    assert [images_at_once(CPU, 16, size) for size in ((96, 80), (224, 224), (2048, 2048))] == [16, 2, 1]
    assert images_at_once(CPU, 1, (8, 8)) == 1
    assert images_at_once(torch.device("cuda"), 16, (2048, 2048)) == 16


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("", "gpu", "cuda:99", "meta"):
        with pytest.raises(UsageError, match="use auto, cpu, cuda, cuda:N or mps"):
            pick_device(name)
    with autocasting(torch.device("cpu"), "bf16")():
        assert torch.is_autocast_enabled("cpu")
    with autocasting(torch.device("cpu"), "fp32")():
        assert not torch.is_autocast_enabled("cpu")
