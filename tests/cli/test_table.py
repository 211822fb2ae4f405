"""`gantk table`, from folders to what is written."""

import csv
import io
import json

import pytest

from command_line import alone, call
from measured_runs import evaluate


def test_terminal(runs):
    result = call("table", "abl")
    assert result.exit_code == 0, result.stderr
    assert "All of it" in result.stdout
    assert "abl: whole image" in result.stdout
    assert "abl: brain" in result.stdout
    assert "· bare, seed 2 (bare-2): not run yet" in result.stdout
    assert "baseline/training_mean" in result.stdout


def test_markdown_with_a_reference(runs):
    result = call("table", "abl", "--format", "md", "--reference", "all of it", "--region", "image")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("**abl: whole image**")
    assert "- bare: seed 2 missing" in result.stdout
    assert "Difference from All of it" in result.stdout
    assert "compared over the common seeds 1 only" in result.stdout


def test_the_sweeps_own_reference(runs):
    path = runs / "abl" / "sweep.json"
    head = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(head | {"reference": "bare"}), encoding="utf-8")
    for form in ("rich", "md", "latex"):
        assert "Difference from bare" in call("table", "abl", "--format", form).stdout
    assert "Difference from All of it" in call("table", "abl", "--reference", "all of it").stdout
    path.write_text(json.dumps(head | {"reference": "baer"}), encoding="utf-8")
    result = call("table", "abl", "--format", "md")
    assert result.exit_code == 0, result.stderr
    assert "Nothing was tested: reference: no row is called 'baer'; did you mean 'bare'?" in result.stdout


def test_csv_is_alone_on_standard_output(runs):
    result = call("table", "abl", "abl-other", "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [line["title"] for line in lines] == ["All of it", "bare", "r", "baseline/training_mean"]
    assert "not run yet" in result.stderr


def test_file(runs, tmp_path):
    result = call("table", "abl", "-f", "latex", "-o", "table.tex")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert (tmp_path / "table.tex").read_text(encoding="utf-8").count(r"\toprule") == 2  # a table per region
    refused = call("table", "abl", "-f", "latex", "-o", "out/table.tex")
    assert refused.exit_code == 2
    assert "out: there is no such folder; create the folder" in refused.stderr
    assert not (tmp_path / "out").exists()
    assert call("table", "abl", "-o", "x.txt").exit_code == 2


def test_json(runs):
    found = json.loads(call("table", runs / "abl", "--json", "--role", "teacher").stdout)
    assert [row["title"] for row in found["rows"]] == ["All of it, teacher", "bare, teacher", "baseline/training_mean"]
    assert found["rows"][0]["values"]["ssim"]["n"] == 2


def test_refused_and_forced(runs):
    evaluate(runs / "abl-other", 1, 0.9, settings="other")
    refused = call("table", "abl", "abl-other")
    assert refused.exit_code == 1
    assert "different evaluation settings" in refused.stderr
    assert "other in abl-other" in refused.stderr
    assert refused.stdout == ""
    for form in ("rich", "md", "latex"):
        assert "NOT COMPARABLE" in call("table", "abl", "abl-other", "--force", "--format", form).stdout
    forced = call("table", "abl", "abl-other", "--force", "--format", "csv")
    assert {line["comparable"] for line in csv.DictReader(io.StringIO(forced.stdout))} == {"no"}
    assert "NOT COMPARABLE" in forced.stderr


@pytest.mark.parametrize("arguments", [["abl", "--role", "studnt"], ["abl", "--reference", "bar"], []])
def test_wrong_usage(runs, arguments):
    result = call("table", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_no_such_run(runs):
    for arguments in (["table", "nothing"], ["compare", "abl", "--reference", "nothing/student"]):
        result = call(*arguments)
        assert result.exit_code == 2
        assert "there is no run 'nothing'" in result.stderr


@pytest.mark.parametrize("arguments", [["table", "abl", "--reference", "bare"], ["compare", "abl-other"]])
def test_neither_loads_torch(runs, arguments):
    done, loaded = alone(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert loaded == []
