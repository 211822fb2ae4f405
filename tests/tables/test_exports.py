"""Tables for programs, in full precision."""

import csv
import io

from gantk.tables.exports import to_csv
from gantk.tables.paper import result_table
from written_sweeps import row_of


def test_csv(fractions):
    table = result_table([fractions.root], reference="paired only (paired fraction 5 %)")
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert len(lines) == len(table.rows)
    line = next(x for x in lines if x["label"] == "DS³" and x["data.paired_fraction"] == "0.05")
    assert float(line["ssim_mean"]) == row_of(table, "DS³ (paired fraction 5 %)").values["ssim"].mean
    assert (line["ssim_n"], line["std_over"], line["seeds"], line["comparable"]) == ("2", "seeds", "0 1", "yes")
    assert float(line["ssim_low"]) <= float(line["ssim_difference"]) <= float(line["ssim_high"])
    assert line["ssim_tumour_patients"] == "7"
    reference = next(x for x in lines if x["label"] == "paired only" and x["data.paired_fraction"] == "0.05")
    assert reference["ssim_difference"] == ""
    assert next(x for x in lines if x["label"] == "CUT")["data.paired_fraction"] == ""
