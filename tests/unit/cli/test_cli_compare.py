"""`rack-sim compare`: finished runs and scenarios side by side, what cannot run, what is wrong."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rack_sim.metrics.compare_columns import CHANGES, COMPARE, COMPARED, DENSITIES
from rack_sim.metrics.slo import slo_of
from rack_sim.record import store
from rack_sim.study.judged import judged

Cli = Callable[..., tuple[int, str, str]]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def planned(small: Path) -> None:
    """A plan that is given is found at once."""
    text = small.read_text(encoding="utf-8")
    small.write_text(f"{text}partition: {{tensor_parallel: 8, stages: 8}}\n", encoding="utf-8")


@pytest.fixture
def big(small: Path, planned: None) -> Path:
    """A scenario whose model does not fit its rack."""
    path = small.with_name("big.yaml")
    text = small.read_text(encoding="utf-8").replace("name: small", "name: big")
    path.write_text(text.replace("llama-2-7b", "llama-2-70b"), encoding="utf-8")
    return path


_done: dict[str, Path] = {}


@pytest.fixture
def done(cli: Cli, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the small scenario at half its rate: made once."""
    if "out" not in _done:
        folder = tmp_path_factory.mktemp("done") / "out"
        code, _, err = cli(
            *(
                "run",
                "small.yaml",
                "--out",
                folder,
                "-q",
                "--no-figures",
                "--no-html",
                "--no-workbook",
            ),
            *("--set", "workload.arrivals.rate_rps=10", "--set", "cost.amortisation_years=5"),
        )
        assert (code, err) == (0, "")
        _done["out"] = folder
    shutil.copytree(_done["out"], "done")
    return Path("done")


def test_a_finished_run_and_a_scenario(cli: Cli, done: Path) -> None:
    """One table, one set of files; numbers are those of the two summaries."""
    code, out, err = cli("compare", "before=done", "after=small.yaml")
    assert (code, err) == (0, "")
    (folder,) = Path("reports").iterdir()
    assert out.endswith(f"files: {folder}\n")
    assert folder.name.startswith("compare-")
    names = {"compare.csv", "changes.csv", "manifest.json", "report.html", "report.xlsx"}
    stems = ("pareto", "compared", "changed")
    names |= {f"{stem}.{end}" for stem in stems for end in ("png", "svg")}
    assert {path.name for path in folder.iterdir()} == names
    for stem in stems:
        assert (folder / f"{stem}.png").stat().st_size > 10_000
        assert ElementTree.parse(folder / f"{stem}.svg").getroot().tag.endswith("svg")
    before, after = read(folder / "compare.csv")
    assert list(before) == [column.name for column in COMPARE]
    assert (before["name"], before["source"]) == ("before", "finished")
    assert (after["name"], after["source"]) == ("after", "simulated")
    (summary,) = read(done / "summary.csv")
    for name in COMPARED:
        if name != "mean_watts":
            assert before[name] == summary[name], name
    kilowatts = float(summary["mean_watts"]) / 1000
    assert float(before["mean_kilowatts"]) == pytest.approx(kilowatts, rel=1e-12)
    assert float(before["output_tok_s_per_kilowatt"]) == pytest.approx(
        float(summary["output_throughput_tok_s"]) / kilowatts, abs=1e-6
    )
    # Half the requests a second on the same machine: each token costs more.
    assert float(before["usd_per_million_output_tokens"]) > float(
        after["usd_per_million_output_tokens"]
    )


def test_what_changed_key_by_key_and_in_words(cli: Cli, done: Path) -> None:
    code, out, err = cli(
        "compare", "done", "small.yaml", "--no-figures", "--no-html", "--no-workbook", "--out", "c"
    )
    assert (code, err) == (0, "")
    rows = read(Path("c/changes.csv"))
    assert list(rows[0]) == [column.name for column in CHANGES]
    inputs = {row["key"]: row for row in rows if row["kind"] == "input"}
    assert list(inputs) == ["workload.arrivals.rate_rps", "cost.amortisation_years"]
    assert inputs["cost.amortisation_years"]["before"] == "5.0"
    assert float(inputs["cost.amortisation_years"]["change_share"]) == pytest.approx(-0.2)
    outputs = {row["key"] for row in rows if row["kind"] == "output"}
    assert "usd_per_million_output_tokens" in outputs
    assert "chip_count" not in outputs, "what stayed is not listed"
    assert "scenario_hash" not in outputs
    assert "inputs that changed: 2" in out
    assert "USD per million output tokens: falls from" in out
    assert "not alike in all: traffic, costs" in out
    assert "small (2)" in out, "two of one name are told apart"


def test_the_same_twice_differs_in_nothing(cli: Cli, small: Path) -> None:
    code, out, err = cli(
        "compare",
        "small.yaml",
        "small.yaml",
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "--json",
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["changes"] == found["in_words"] == found["not_alike"] == []
    first, second = found["runs"]
    assert {**first, "name": ""} == {**second, "name": ""}
    assert all(first[f"{name}_frontier"] == "yes" for name in DENSITIES), "neither is beaten"


def test_json_and_quiet(cli: Cli, done: Path) -> None:
    code, out, err = cli(
        "compare",
        "done",
        "small.yaml",
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "--json",
        "--out",
        "c",
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["path"] == "c"
    assert [run["name"] for run in found["runs"]] == ["small", "small (2)"]
    assert {change["kind"] for change in found["changes"]} == {"input", "output"}
    assert cli(
        "compare",
        "done",
        "small.yaml",
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "-q",
        "--out",
        "d",
    ) == (0, "", "")


def test_what_cannot_run_is_a_row_with_its_reason(cli: Cli, big: Path) -> None:
    code, out, err = cli("compare", "small.yaml", "big.yaml", "--out", "c")
    assert (code, err) == (0, "")
    small, large = read(Path("c/compare.csv"))
    assert (small["status"], large["status"]) == ("ran", "infeasible")
    assert "does not fit: llama-2-70b" in large["reason"]
    assert large["chip_count"] == large["output_tokens_per_usd_frontier"] == ""
    assert "big cannot run: does not fit" in out
    assert Path("c/pareto.png").is_file()


def test_more_than_three_stand_below_each_other(cli: Cli, small: Path) -> None:
    code, out, _ = cli(
        "compare",
        *(f"{n}=small.yaml" for n in "abcd"),
        "--no-figures",
        "--no-html",
        "--no-workbook",
    )
    assert code == 0
    assert "4 runs compared" in out
    assert [line.split()[0] for line in out.splitlines() if line[1:2] in ("a", "b", "c", "d")]


def test_none_can_run(cli: Cli, big: Path) -> None:
    code, out, err = cli("compare", "big.yaml", "again=big.yaml")
    assert (code, out) == (3, "")
    assert "none of them can run" in err
    assert err.count("does not fit: llama-2-70b") == 2
    assert not Path("reports").exists(), "nothing is left behind"


def test_every_problem_at_once(cli: Cli, done: Path) -> None:
    """A preset that is not there, a folder that is no run, a run that lost its columns."""
    Path("empty").mkdir()
    lost = Path("lost")
    shutil.copytree(done, lost)
    head, row = (done / "summary.csv").read_text(encoding="utf-8").splitlines()
    cut = head.split(",").index("energy_hosts_joules")
    (lost / "summary.csv").write_text(
        "\n".join(",".join(cells.split(",")[:cut]) for cells in (head, row)) + "\n"
    )
    code, out, err = cli("compare", "done", "llama7b", "empty", "lost")
    assert (code, out) == (2, "")
    assert "no scenario is called 'llama7b'" in err
    assert "empty: has no manifest.json: it is no directory of rack-sim" in err
    assert "lacks energy_hosts_joules" in err
    assert "3 problems" in err


def test_a_run_of_another_version(cli: Cli, done: Path) -> None:
    manifest = json.loads((done / "manifest.json").read_text(encoding="utf-8"))
    (done / "manifest.json").write_text(json.dumps({**manifest, "version": "0.0.1"}))
    code, _, err = cli("compare", "done", "small.yaml")
    assert code == 2
    assert "was written by rack-sim 0.0.1; this is rack-sim" in err
    assert "run its scenario again" in err


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("summary.csv", "", "lacks scenario, system, model …"),
        ("summary.csv", "\xff", "lacks scenario, system, model …; has besides a, b"),
        ("resolved.yaml", "seed: 1\n", "resolved.yaml: is not as rack-sim wrote it"),
        ("resolved.yaml", "a: [\n", "resolved.yaml:"),
    ],
)
def test_a_run_that_is_broken(cli: Cli, done: Path, name: str, text: str, complaint: str) -> None:
    if text == "\xff":
        text = "a,b\n1,2\n"
    (done / name).write_text(text, encoding="utf-8")
    code, _, err = cli("compare", "done", "small.yaml")
    assert code == 2
    assert complaint in err


def test_a_number_that_is_none(cli: Cli, done: Path) -> None:
    path = done / "summary.csv"
    head, row = path.read_text(encoding="utf-8").splitlines()
    cells = row.split(",")
    cells[head.split(",").index("rack_count")] = "many"
    path.write_text(f"{head}\n{','.join(cells)}\n", encoding="utf-8")
    code, _, err = cli("compare", "done", "small.yaml")
    assert code == 2
    assert "rack_count: 'many' is not a whole number" in err


def test_one_is_no_comparison_and_finished_runs_do_not_change(cli: Cli, done: Path) -> None:
    code, _, err = cli("compare", "done")
    assert code == 2
    assert "one run is no comparison" in err
    code, _, err = cli("compare", "done", "done", "--set", "seed=3")
    assert code == 2
    assert "nothing to change" in err


def test_a_comparison_is_kept(cli: Cli, done: Path) -> None:
    arguments = (
        "compare",
        "done",
        "small.yaml",
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "-q",
        "--out",
        "c",
    )
    assert cli(*arguments) == (0, "", "")
    before = (Path("c") / "compare.csv").read_bytes()
    code, _, err = cli(*arguments)
    assert code == 2
    assert "exists already" in err
    assert cli(*arguments, "--force")[0] == 0
    assert (Path("c") / "compare.csv").read_bytes() == before, "and again the same bytes"
    code, _, err = cli("compare", "c", "small.yaml")
    assert code == 2
    assert "error: c: holds a comparison, not a run" in err


ASKED = ("--set", "slo={ttft_ms: 400, tpot_ms: 3, asked: ttft_p90=300ms}")
TWO = ("--set", "workload.request_count=120", "--no-figures", "--no-html", "--no-workbook")


@pytest.mark.parametrize("slo", ["ttft=150ms,tpot=3ms", "ttft=1us", "e2el=400ms", "ttft_p90=200ms"])
def test_one_set_of_objectives_judges_all(cli: Cli, small: Path, slo: str) -> None:
    """A finished run judged anew says what it would have said had those been its own."""
    metric, _, bound = slo.partition("=")
    keys = f"asked: {slo}" if "_" in metric else f"{metric}_ms: {bound.split('ms')[0]}"
    if slo == "ttft=1us":
        keys = "ttft_us: 1"
    if "," in slo:
        keys += ", tpot_ms: 3"
    assert cli("run", "small.yaml", "--out", "own", *TWO, "--set", f"slo={{{keys}}}")[0] == 0
    assert cli("run", "small.yaml", "--out", "other", *TWO, *ASKED)[0] == 0
    code, out, err = cli("compare", "own", "other", "--slo", slo, "--json", "--out", "c")
    assert code == 0, err
    found = json.loads(out)
    first, second = found["runs"]
    (row,) = read(Path("own/summary.csv"))
    for column in ("slo_attainment", "request_goodput_rps"):
        assert first[column] == second[column]
        assert str(first[column] if first[column] is not None else "") == row[column]
    judged = judged_summary(Path("other"), slo)
    for column in ("fit_slo_attainment", "slo_asked", "slo_met"):
        assert str(judged[column] if judged[column] is not None else "") == row[column]
    assert found["judged_by"].endswith("(--slo)")


def judged_summary(folder: Path, slo: str) -> dict[str, object]:
    return dict(judged(store.read(folder), slo_of(slo)))


def test_without_any_the_first_judges_and_what_is_unlike_is_said_first(
    cli: Cli, small: Path
) -> None:
    assert cli("run", "small.yaml", "--out", "strict", *TWO, "--set", "slo={ttft_us: 1}")[0] == 0
    changed = ("--set", "precision.kv=int8", "--set", "slo={ttft_s: 100}")
    assert cli("run", "small.yaml", "--out", "easy", *TWO, *changed)[0] == 0
    code, out, err = cli(
        "compare", "strict", "easy", "--no-figures", "--no-html", "--no-workbook", "--out", "c"
    )
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith(
        "not alike in all: precision, objectives (all are judged by those of"
    )
    assert lines[1] == "judged by: ttft <= 0.001 ms for a request (those of small)"
    assert [row["slo_attainment"] for row in read(Path("c/compare.csv"))] == ["0.0", "0.0"]
    code, out, _ = cli(
        "compare",
        "easy",
        "strict",
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "--out",
        "d",
        "--json",
    )
    assert [run["slo_attainment"] for run in json.loads(out)["runs"]] == [1.0, 1.0]
    Path("easy/requests.csv").unlink()
    code, out, err = cli(
        "compare", "strict", "easy", "--no-figures", "--no-html", "--no-workbook", "--out", "e"
    )
    assert (code, out) == (2, "")
    assert "easy/requests.csv" in err
    assert not Path("e").exists()


def test_objectives_that_are_none(cli: Cli, small: Path) -> None:
    for given, said in (
        ("ttft", "has no bound"), ("ttft=1", "has no unit"), ("ttft_p98=1s", "is no objective"),
        ("", "has no objective"),
    ):  # fmt: skip
        code, out, err = cli("compare", "small.yaml", "small.yaml", "--slo", given)
        assert (code, out) == (2, ""), given
        assert said in err
        assert "--slo" in err
