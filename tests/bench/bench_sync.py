"""How fast a journal reaches a local store: `python tests/bench/bench_sync.py [--values 50000] [--json]`.

The same values through `log_batch`, MLflow's own way, in its largest batches, and in the transactions of `gantk sync`;
for each in turn the store's time alone, then a whole `sync` of a journal with its peak of memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from pathlib import Path

from mlflow.entities import Metric

from gantk.runs.lines import written
from gantk.tracking.feed import Feed
from gantk.tracking.feeder import sync
from gantk.tracking.folder import RunFolder
from gantk.tracking.store import METRICS_PER_REQUEST, Store
from timing import Spread, in_turns

NAMES = 10


def write_run(folder: Path, values: int) -> Path:
    """A run's folder with so many values in its journal."""
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text('name = "bench"\n[data]\ndataset = "phantom"\n')
    (folder / "status.json").write_text(json.dumps({"state": "finished", "id": folder.name, "started": 1.7e9}))
    with (folder / "metrics.jsonl").open("wb") as file:
        for step in range(values // NAMES):
            metrics = {f"train/student/term{n}": (step * 7919 + n) % 1013 / 1013 for n in range(NAMES)}
            head = {"seq": step, "step": step, "epoch": step // 1000, "stage": "one", "time": 1.7e9 + step / 10}
            file.write(written({**head, "metrics": metrics}))
    return folder


def store_faster(store: Store, values: int, rounds: int) -> str:
    """How many times as fast as MLflow's own way."""
    client, experiment = store.client(), store.experiment("bench")
    metrics = [Metric(f"m{i % NAMES}", i / values, 1_700_000_000_000 + i, i // NAMES) for i in range(values)]

    def log_batch() -> None:
        run = client.create_run(experiment).info.run_id
        for i in range(0, values, METRICS_PER_REQUEST):
            client.log_batch(run, metrics=metrics[i : i + METRICS_PER_REQUEST])

    def transactions() -> None:
        run = client.create_run(experiment).info.run_id
        for i in range(0, values, store.batch):
            store.log_metrics(run, metrics[i : i + store.batch])

    spent = in_turns({"log_batch": log_batch, "transactions": transactions}, rounds)
    return str(Spread.of([a.cpu / b.cpu for a, b in zip(spent["log_batch"], spent["transactions"], strict=True)]))


def measure(values: int, rounds: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        store = Store(f"sqlite:///{name}/runs/mlflow.db")
        found: dict[str, object] = {"values": values}
        if rounds:
            found["store_faster"] = store_faster(store, values, rounds)
        run = write_run(Path(name) / "runs" / "bench", values)
        store.client()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        whole = in_turns({"sync": lambda: sync(run, store.uri)}, 1)["sync"][0]
        assert not Feed(RunFolder(run)).left()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {
        **found,
        "sync_seconds": round(whole.wall, 1),
        "sync_cpu_seconds_per_million": round(whole.cpu / values * 1e6, 1),
        "sync_memory_grown_mb": round(grown, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--values", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison; 0 leaves it out")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.values, given.rounds)
    print(json.dumps(found) if given.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
