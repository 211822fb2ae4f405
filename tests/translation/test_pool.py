"""The pool of past outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from gantk.translation.pool import ImagePool


def image(value: float) -> Tensor:
    return torch.full((1, 1, 2, 2), float(value))


def test_the_first_images_pass_and_are_stored() -> None:
    pool = ImagePool(3, (1, 2, 2))
    batch = torch.cat([image(1), image(2), image(3)])
    assert torch.equal(pool.exchange(batch), batch)
    assert torch.equal(pool.images, batch)


def test_then_half_of_them_are_exchanged_for_stored_ones() -> None:
    torch.manual_seed(0)
    pool = ImagePool(50, (1, 2, 2))
    for number in range(50):
        pool.exchange(image(number))
    held, exchanged = set(range(50)), 0
    for number in range(50, 450):
        shown = pool.exchange(image(number))[0, 0, 0, 0].item()
        now = {int(stored) for stored in pool.images[:, 0, 0, 0].tolist()}
        if shown == number:
            assert now == held  # passed, not stored
        else:
            exchanged += 1
            assert now == held - {int(shown)} | {number}
        held = now
    assert 160 < exchanged < 240  # binomial(400, 1/2): four standard deviations


def test_what_goes_in_is_left_as_it_is_and_what_comes_out_has_no_gradient() -> None:
    pool = ImagePool(1, (1, 2, 2))
    pool.exchange(image(7))
    given = image(1).requires_grad_()
    shown = torch.cat([pool.exchange(given) for _ in range(20)])
    assert given.eq(1).all()
    assert not shown.requires_grad
    assert set(shown.flatten().tolist()) == {1.0, 7.0}


def test_a_checkpoint_holds_it() -> None:
    torch.manual_seed(1)
    pool, other = ImagePool(2, (1, 2, 2)), ImagePool(2, (1, 2, 2))
    pool.exchange(torch.cat([image(1), image(2)]))
    other.load_state_dict(pool.state_dict())
    drawn = []
    for tested in (pool, other):
        torch.manual_seed(5)
        drawn.append(torch.cat([tested.exchange(image(n)) for n in range(3, 9)]))
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0].flatten(), torch.arange(3.0, 9.0).repeat_interleave(4))
