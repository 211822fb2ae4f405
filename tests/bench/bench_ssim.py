"""SSIM maps: gantk's against torchmetrics', on the same images; one thread.

`python tests/bench/bench_ssim.py [--rounds N]` prints torchmetrics' processor time by gantk's, above 1 where gantk is
faster.
"""

from __future__ import annotations

import argparse

import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from gantk.evaluation.metrics import Ssim
from timing import Spread, in_turns

SHAPES = ((64, 1, 96, 80), (8, 1, 224, 224), (8, 3, 256, 256), (1, 3, 1024, 1024), (1, 1, 40, 96, 80))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for shape in SHAPES:
        torch.manual_seed(0)
        target = torch.rand(shape)
        prediction = (target + torch.rand(shape)) / 2

        def theirs(prediction: torch.Tensor = prediction, target: torch.Tensor = target) -> torch.Tensor:
            return structural_similarity_index_measure(
                prediction, target, data_range=1.0, reduction="none", return_full_image=True
            )[1]

        def ours(prediction: torch.Tensor = prediction, target: torch.Tensor = target) -> torch.Tensor:
            return Ssim().map(prediction, target)

        if (wrong := (theirs() - ours()).abs().max().item()) > 1e-4:
            raise SystemExit(f"{shape}: the two differ by {wrong:.1e}")
        spent = in_turns({"torchmetrics": theirs, "gantk": ours}, args.rounds)
        pairs = zip(spent["torchmetrics"], spent["gantk"], strict=True)
        print(f"{' × '.join(map(str, shape))}: {Spread.of([their.cpu / own.cpu for their, own in pairs])}", flush=True)


if __name__ == "__main__":
    main()
