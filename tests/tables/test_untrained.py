"""A baseline that is better is said."""

from gantk.tables.paper import result_table
from written_sweeps import evaluate


def test_a_baseline_that_is_better_is_said(ablation):
    for variant in ("full", "bare"):
        for seed in range(3):
            evaluate(ablation.root / "children" / f"{variant}-{seed}", {"teacher": 0.2, "student": 0.4}, seed)
    notes = result_table([ablation.root]).notes
    assert (
        "† copying the t1 (baseline/input:t1) scores better than the best method in SSIM ↑, MSE ↓, SSIM tumour ↑"
        in notes
    )
    for variant in ("full", "bare"):
        folder = ablation.root / "children" / f"{variant}-0" / "evaluation"
        (folder / "weights.json").write_text(
            f'{{"difficulty": {{"tumour": 0.9, "brain": {1 if variant == "full" else 0.8}}}}}'
        )
    said = "weight map difficulty is lower in the tumor than in healthy brain in 1 of 2 runs (ratio 0.90)"
    assert said in result_table([ablation.root]).notes
