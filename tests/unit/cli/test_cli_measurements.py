"""validate-model and calibrate on a small table."""

import json

import pytest

from rack_sim.study.measurements import COLUMNS

ROWS = (
    "a,nvidia-h100,1,llama-3.1-8b,fp16,128,64,closed,1,no,120,,,A,,",
    "b,nvidia-h100,1,llama-3.1-8b,fp16,128,64,closed,16,no,,1700,,A,,",
    "c,nvidia-h100,1,no-such-model,fp16,128,64,closed,1,no,120,,,A,,",
)


@pytest.fixture
def measured(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([",".join(COLUMNS), *ROWS]) + "\n")
    return path


def test_every_row_is_listed_and_one_that_cannot_run_says_why(cli, measured):
    result = cli("validate-model", measured, "--json")
    assert result.code == 0
    rows = json.loads(result.out)["rows"]
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["error"] == pytest.approx(rows[0]["predicted"] / rows[0]["measured"] - 1)
    assert rows[2]["predicted"] is None and "no model is called" in rows[2]["not_run"]
    shown = cli("validate-model", measured)
    assert shown.code == 0 and "not run" in shown.out


def test_a_row_that_cannot_be_read_is_listed_and_stops_nothing(cli, measured):
    """In the table, in JSON and when a chip is fitted: each with its line and its reason."""
    lines = measured.read_text().splitlines()
    strange = "x,nvidia-h100,many,llama-3.1-8b,fp16,128,64,closed,1,no,120,,,Z,,"
    open_quote = 'y,nvidia-h100,1,"llama-3.1-8b"x,fp16,128,64,closed,1,no,120,,,A,,'
    measured.write_text("\n".join([lines[0], strange, open_quote, *lines[1:3], lines[1]]) + "\n")
    result = cli("validate-model", measured, "--json")
    assert result.code == 0
    said = json.loads(result.out)
    assert [row["id"] for row in said["rows"]] == ["a", "b"]
    left_out = [(item["line"], item["column"]) for item in said["unreadable"]]
    assert left_out == [(2, "chips"), (2, "grade"), (3, None), (6, "id")]
    shown = cli("validate-model", measured)
    assert shown.code == 0
    assert f"left out: {measured}:2: chips: 'many' is not a number" in shown.out
    fitting = ("calibrate", measured, "--chip", "nvidia-h100", "--constants", "memory_efficiency")
    fitted = cli(*fitting, "--json")
    assert fitted.code == 0, fitted.err
    assert json.loads(fitted.out)["unreadable"] == said["unreadable"]
    assert "left out:" in cli(*fitting).out
    measured.write_text("\n".join([lines[0], strange]) + "\n")
    assert cli("validate-model", measured).code == 2


def test_a_chip_is_fitted_written_and_used_again(cli, measured, tmp_path):
    lines = measured.read_text().splitlines()
    measured.write_text("\n".join(lines[:-1]) + "\n")
    target = tmp_path / "mine.yaml"
    arguments = ("--chip", "nvidia-h100", "--constants", "memory_efficiency", "--out", target)
    result = cli("calibrate", measured, *arguments, "--json")
    assert result.code == 0, result.err
    value = json.loads(result.out)["constants"][0]["value"]
    text = target.read_text()
    assert f"value: {value:.4g}" in text and "grade: fitted" in text and "mine.csv" in text
    measured.write_text(measured.read_text().replace("nvidia-h100", "./mine.yaml"))
    again = json.loads(cli("validate-model", measured, "--json").out)["rows"]
    assert all(row["not_run"] is None for row in again)
    assert cli("calibrate", measured, *arguments).code == 2  # the file is there already


def test_too_few_rows_are_bad_input(cli, measured):
    result = cli("calibrate", measured, "--chip", "nvidia-h100")
    assert result.code == 2 and "mine.csv" in result.err
