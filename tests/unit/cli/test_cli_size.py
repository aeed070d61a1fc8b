"""`rack-sim size`: files, tables, JSON, the command it prints, exit codes."""

import csv
import html
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rack_sim.metrics.sizing_columns import (
    CANDIDATES,
    SIZING,
    fixed_columns,
    objective_columns,
)
from rack_sim.study.sizing.search import SizingSearch

Cli = Callable[..., tuple[int, str, str]]
HERE = Path(__file__).parent
SLO = ("--slo", "ttft_p99=80ms,tpot_p99=2ms", "--rate", "150", "--max-replicas", "8")
FEW = (
    "--tensor-parallel",
    "2,4",
    "--stages",
    "1-2",
    "--no-figures",
    "--no-html",
    "--no-workbook",
    "--requests",
    "200",
)


@pytest.fixture
def slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small replicas of LPUs, in an empty current directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "slots.yaml"
    path.write_text((HERE / "slots.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return path


@pytest.fixture
def batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small replicas of GPUs, in an empty current directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "batches.yaml"
    path.write_text((HERE / "batches.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_it_writes_a_directory(cli: Cli, slots: Path) -> None:
    arguments = [word for word in FEW if word[:4] != "--no"]
    code, out, err = cli("size", "slots.yaml", *SLO, *arguments)
    assert code == 0, err
    (folder,) = Path("reports").iterdir()
    assert folder.name.startswith("slots-size-")
    assert out.endswith(f"files: {folder}\n")
    assert {path.name for path in folder.iterdir()} == {
        "sizing.csv", "candidates.csv", "manifest.json", "resolved.yaml",
        "candidates.png", "candidates.svg", "report.html", "report.xlsx",
    }  # fmt: skip
    asked = objective_columns(["ttft_ms_p99", "tpot_ms_p99"])
    for name, columns in (("sizing.csv", SIZING), ("candidates.csv", CANDIDATES)):
        head = (folder / name).read_text(encoding="utf-8").splitlines()[0]
        assert head == ",".join(column.name for column in (*fixed_columns(columns), *asked))
    answers, candidates = read(folder / "sizing.csv"), read(folder / "candidates.csv")
    assert [row["goal"] for row in answers] == ["fewest_chips", "cheapest", "least_power"]
    key = ("tensor_parallel", "stage_count", "replica_count")
    by_key = {tuple(row[name] for name in key): row for row in candidates}
    assert len(by_key) == len(candidates)
    for row in answers:
        candidate = by_key[tuple(row[name] for name in key)]
        assert candidate["verdict"] == "meets"
        assert row["goal"] in candidate["best_for"].split()
        assert float(row["ttft_ms_p99"]) <= 80
        assert float(row["ttft_ms_p99_margin"]) == pytest.approx(80 - float(row["ttft_ms_p99"]))
        chips = ("chip_count", "spare_chip_count", "idle_chip_count")
        assert int(row["bought_chip_count"]) == sum(int(row[name]) for name in chips)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["question"]["rate_rps"] == 150
    assert manifest["candidate_count"] == len(candidates)
    # The scenario that was asked about can be asked about again.
    code, out, _ = cli("size", folder / "resolved.yaml", *SLO, *FEW, "--json")
    assert code == 0
    again = json.loads(out)
    assert [row["bought_chip_count"] for row in again["answers"]] == [
        int(row["bought_chip_count"]) for row in answers
    ]


def test_reports_are_left_out_or_made_again(cli: Cli, slots: Path) -> None:
    arguments = (
        "size",
        "slots.yaml",
        *SLO,
        *FEW[:4],
        *FEW[-2:],
        "--no-figures",
        "--quiet",
        "--out",
    )
    assert cli(*arguments, "bare", "--no-html", "--no-workbook") == (0, "", "")
    assert not list(Path("bare").glob("report.*"))
    Path("slots.yaml").rename("away.yaml")
    code, out, err = cli("report", "bare")
    assert (code, err) == (0, "")
    assert out == "file: bare/report.html\nfile: bare/report.xlsx\n"
    Path("away.yaml").rename("slots.yaml")
    # The manifest says how long it took, and no report does.
    assert cli(*arguments, "whole") == (0, "", "")
    for ending in ("html", "xlsx"):
        one, other = (Path(folder, f"report.{ending}") for folder in ("bare", "whole"))
        assert one.read_bytes() == other.read_bytes()


def test_the_command_on_the_page_gives_the_same_numbers(cli: Cli, slots: Path) -> None:
    write_trace(output_tokens=20)
    few = ("--tensor-parallel", "2", "--stages", "1", "--no-figures", "--no-workbook")
    slo = ("--slo", "ttft_p99=1s", "--rate", "70", "--out", "sized", "--json")
    code, out, err = cli("size", "slots.yaml", "--trace", "own.csv", *slo, *few)
    assert code == 0, err
    answer = json.loads(out)["answers"][0]
    page = Path("sized/report.html").read_text(encoding="utf-8")
    command = html.unescape(page.split("<pre", 1)[1].split("<code>")[1].split("</code>")[0])
    words = shlex.split(command)
    os.chdir("sized")
    code, out, err = cli(
        *words[1:], "--json", "--no-figures", "--no-html", "--no-workbook", "--out", "again"
    )
    assert code == 0, err
    assert json.loads(out)["ttft_ms_p99"] == answer["ttft_ms_p99"]


def test_the_tables_say_what_binds_and_what_fails(cli: Cli, slots: Path) -> None:
    code, out, _ = cli("size", "slots.yaml", *SLO, *FEW)
    assert code == 0
    for words in (
        "TTFT p99 at most 80 ms", "chips to buy", "margin", "tightest", "TTFT is bound by",
        "one replica fewer", "next smaller", "searched: tensor parallel 2 with 1-2 stages",
        "ruled out by bounds", "run it (",
    ):  # fmt: skip
        assert words in out
    assert cli("size", "slots.yaml", *SLO, *FEW, "--quiet")[1:] == ("", "")


@pytest.mark.parametrize("kind", ["slots", "batches"])
def test_the_printed_command_gives_the_same_numbers(
    cli: Cli, kind: str, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(kind)
    few = ("--max-replicas", "8", "--no-figures", "--no-html", "--no-workbook", "--json")
    code, out, err = cli(
        "size", path.name, "--slo", "ttft_p90=100ms", "--rate", "90.5", "--seed", "3",
        "--set", "metrics.warmup_share=0.2", "--set", "workload.request_count=300", *few,
    )  # fmt: skip
    assert code == 0, err
    for answer in json.loads(out)["answers"]:
        command = shlex.split(answer["command"])
        assert command[0] == "rack-sim"
        code, out, err = cli(*command[1:], "--json", "--no-figures", "--no-html", "--no-workbook")
        assert code == 0, err
        summary = json.loads(out)
        bought = summary["spare_chip_count"] + summary["idle_chip_count"] + summary["chip_count"]
        assert answer["bought_chip_count"] == bought
        for name in (
            "chip_count", "rack_count", "capital_usd", "mean_watts", "ttft_ms_p90",
            "ttft_bound_by", "tpot_bound_by", "bottleneck", "usd_per_million_output_tokens",
            "request_count",
        ):  # fmt: skip
            assert answer[name] == summary[name], name


@pytest.mark.parametrize(
    "arrivals",
    [
        "{kind: constant, gap_ms: 20}",
        "{kind: gamma, rate_rps: 10, coefficient_of_variation: 2}",
        "{kind: piecewise, pieces: [{duration_s: 1, rate_rps: 30}, {duration_ms: 7, rate_rps: 3}]}",
    ],
)
def test_any_arrivals_can_be_run_again(cli: Cli, slots: Path, arrivals: str) -> None:
    code, out, err = cli(
        "size", "slots.yaml", "--slo", "ttft_mean=100ms", "--rate", "37", "--stages", "1",
        "--tensor-parallel", "4", "--set", f"workload.arrivals={arrivals}", "--json",
        "--no-figures", "--no-html", "--no-workbook", "--max-replicas", "4",
    )  # fmt: skip
    assert code == 0, err
    answer = json.loads(out)["answers"][0]
    code, out, err = cli(
        *shlex.split(answer["command"])[1:], "--json", "--no-figures", "--no-html", "--no-workbook"
    )
    assert code == 0, err
    assert json.loads(out)["ttft_ms_mean"] == answer["ttft_ms_mean"]


def write_trace(output_tokens: int) -> None:
    """A second of traffic."""
    rows = [f"{0.01 * number:.2f},{50 + number},{output_tokens}" for number in range(60)]
    Path("own.csv").write_text("arrival_s,input_tokens,output_tokens\n" + "\n".join(rows) + "\n")


def test_a_trace_that_is_over_too_soon_is_refused(cli: Cli, slots: Path) -> None:
    write_trace(output_tokens=1800)
    few = (
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "--tensor-parallel",
        "2",
        "--stages",
        "1",
        "--max-replicas",
        "20",
    )
    slo = ("--slo", "ttft_p99=1s", "--rate", "70")
    code, out, err = cli("size", "slots.yaml", "--trace", "own.csv", *slo, *few)
    assert (code, out) == (2, "")
    assert "too short a time to tell whether anything keeps up" in err
    assert "or a longer trace" in err


def test_a_trace_can_be_run_again(cli: Cli, slots: Path) -> None:
    write_trace(output_tokens=20)
    few = (
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "--json",
        "--tensor-parallel",
        "2",
        "--stages",
        "1",
    )
    code, out, err = cli(
        "size", "slots.yaml", "--trace", "own.csv", "--slo", "ttft_p99=1s", "--rate", "70", *few
    )
    assert code == 0, err
    answer = json.loads(out)["answers"][0]
    assert answer["rate_rps"] == 70
    code, out, err = cli(
        *shlex.split(answer["command"])[1:], "--json", "--no-figures", "--no-html", "--no-workbook"
    )
    assert code == 0, err
    assert json.loads(out)["ttft_ms_p99"] == answer["ttft_ms_p99"]


def test_traffic_that_is_over_too_soon_goes_on(cli: Cli, batches: Path) -> None:
    arguments = (
        "--slo",
        "ttft_p99=200ms",
        "--rate",
        "300",
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "--json",
    )
    few = ("--set", "workload.request_count=30", "--tensor-parallel", "1", "--stages", "1")
    code, out, err = cli("size", "batches.yaml", *arguments, *few)
    assert code == 0
    assert "30 requests at this rate are over too soon to tell" in err
    answer = json.loads(out)["answers"][0]
    assert answer["request_count"] >= 1000
    assert f"workload.request_count={answer['request_count']}" in answer["command"]
    assert answer["is_short"] is False
    code, out, err = cli("size", "batches.yaml", *arguments, *few, "--requests", "30")
    assert code == 0
    assert json.loads(out)["answers"][0]["request_count"] == 30
    assert "the answer is not certain" in err


def test_unreachable_says_the_best_and_what_is_in_the_way(cli: Cli, slots: Path) -> None:
    code, out, err = cli(
        "size", "slots.yaml", "--slo", "ttft_p99=10s,tpot_p99=1us", "--rate", "50", *FEW
    )
    assert (code, out) == (3, "")
    assert err.startswith("unreachable: ttft_p99 <= 10,000 ms and tpot_p99 <= 0.001 ms for 50")
    assert "demanded  tpot_p99 <= 0.001 ms" in err
    assert "no candidate can be below" in err
    assert "limit     the weights, read once at full memory bandwidth" in err or (
        "limit     fixed latency of dependent operators" in err
    )
    assert "ask for tpot_p99" in err
    assert not Path("reports").exists()
    # What it says can be asked for, can be.
    easier = err.split("ask for tpot_p99 ")[1].split(":")[0].replace(" ", "")
    slo = f"ttft_p99=10s,tpot_p99={easier}"
    assert cli("size", "slots.yaml", "--slo", slo, "--rate", "50", *FEW)[0] == 0


NEARLY = ("--rate", "400", "--max-replicas", "16", "--tensor-parallel", "1", "--stages", "1")
LEAST = (*NEARLY, "--no-figures", "--no-html", "--no-workbook", "--requests", "400")


def test_a_search_that_finds_nothing_ends_and_says_so(
    cli: Cli, batches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for less than any number of replicas measures, and more than bounds rule out."""
    _, _, err = cli("size", "batches.yaml", *LEAST, "--slo", "e2el_p99=1us")
    best, bound = (
        float(err.split(words)[1].split(" ms")[0]) for words in ("  best ", "can be below ")
    )
    tight = f"e2el_p99={(best + bound) / 2}ms"
    code, _, err = cli("size", "batches.yaml", *LEAST, "--slo", tight)
    assert code == 3
    assert "not proved" not in err, "16 replays are few: all were made"
    monkeypatch.setattr("rack_sim.study.sizing.search._FAILURES_PATIENT", 2)
    monkeypatch.setattr("rack_sim.study.sizing.search._REQUESTS_TO_FAIL", 4 * 400)
    code, _, err = cli("size", "batches.yaml", *LEAST, "--slo", tight)
    assert code == 3
    assert "not proved: " in err


def test_a_look_far_ahead_changes_no_answer(
    cli: Cli, batches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> dict[str, object]:
        code, out, _ = cli("size", "batches.yaml", *LEAST, "--slo", "e2el_p99=63ms", "--json")
        assert code == 0
        found: dict[str, object] = json.loads(out)
        return found

    plain = asked()
    looks: list[object] = []
    monkeypatch.setattr("rack_sim.study.sizing.search._FAILURES_PATIENT", 0)
    look = SizingSearch._look_far
    monkeypatch.setattr(
        SizingSearch, "_look_far", lambda self, waiting: looks.append(look(self, waiting))
    )
    assert asked()["answers"] == plain["answers"]
    assert looks


def test_too_few_replicas_are_unreachable(cli: Cli, slots: Path) -> None:
    code, _, err = cli(
        "size", "slots.yaml", "--slo", "ttft_p99=1s", "--rate", "150", "--max-replicas", "1", *FEW
    )
    assert code == 3
    assert "demanded  150 requests/s kept up with, by at most 1 replicas" in err
    assert "limit     rows: no shape carries what is offered with fewer than" in err
    lever = err.split("--max-replicas ")[1].split(":")[0]
    rate = err.split("--rate ")[1].split(":")[0]
    slo = ("--slo", "ttft_p99=1s")
    assert cli("size", "slots.yaml", *slo, "--rate", "150", "--max-replicas", lever, *FEW)[0] == 0
    assert cli("size", "slots.yaml", *slo, "--rate", rate, "--max-replicas", "1", *FEW)[0] == 0


def test_a_model_that_does_not_fit(cli: Cli, slots: Path) -> None:
    code, _, err = cli(
        "size",
        "slots.yaml",
        *SLO,
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "--set",
        "model.num_hidden_layers=400",
    )
    assert code == 3
    assert "infeasible" in err
    assert "demand" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--slo", "ttft_p98=1s"), ["'ttft_p98' is no objective (one of ttft, tpot"]),
        (("--slo", "ttft_p99=1hour"), ["'hour' is no unit of time"]),
        (("--slo", "ttft_p99=1s", "--rate", "0"), ["--rate: 0 is no rate of requests"]),
        (("--slo", "ttft_p99=1s", "--rate", "-3"), ["--rate: -3 is no rate"]),
        (("--slo", "ttft_p99=1s", "--rate", "nan"), ["--rate: nan is no rate"]),
        (("--slo", "ttft_p99=1s", "--rate", "inf"), ["--rate: inf is no rate"]),
        ((), ["--slo: the scenario has no slo"]),
        (("--attainment", "2"), ["--attainment: 2 is no share", "the scenario has no slo"]),
        (("--slo", "ttft_p99=1s", "--attainment", "0.9"), ["has no meaning beside --slo"]),
        (
            ("--slo", "speed=1,tpot_p99=nans", "--rate", "0"),
            ["'speed' is no objective", "'1' has no unit", "'nans' is no bound", "0 is no rate"],
        ),
        (("--slo", "ttft_p99=1s", "--tensor-parallel", "3"), ["cannot be split over 3 chips"]),
        (("--slo", "ttft_p99=1s", "--tensor-parallel", "0"), ["0 is not a count"]),
        (("--slo", "ttft_p99=1s", "--tensor-parallel", "x,2"), ["'x' is no count"]),
        (("--slo", "ttft_p99=1s", "--stages", "1000"), ["1000 stages for"]),
        (("--slo", "ttft_p99=1s", "--stages", "3-1"), ["--stages: names nothing"]),
        (("--slo", "ttft_p99=1s", "--max-replicas", "0"), ["--max-replicas: 0 is not a count"]),
        (("--slo", "ttft_p99=1s", "--requests", "0"), ["--requests: 0 is not a count"]),
        (
            ("--slo", "ttft_p99=1s", "--set", "serving.replicas=3"),
            ["--set serving.replicas=3: is what is searched (--max-replicas bounds it)"],
        ),
        (
            ("--slo", "ttft_p99=1s", "--set", "workload={kind: closed_loop, users: 3, "
             "input_tokens: {kind: fixed, tokens: 9}, output_tokens: {kind: fixed, tokens: 9}, "
             "request_count: 9}"),
            ["a closed loop has no rate"],
        ),
        (
            ("--slo", "ttft_p99=1s", "--set", "workload.input_tokens={kind: fixed, tokens: 2047}"),
            ["none of 200 requests fits a context of 2048 tokens"],
        ),
    ],
)  # fmt: skip
def test_bad_input(cli: Cli, slots: Path, arguments: tuple[str, ...], said: list[str]) -> None:
    code, out, err = cli("size", "slots.yaml", *arguments)
    assert (code, out) == (2, ""), err
    for words in said:
        assert words in err
    assert "Traceback" not in err
    assert not Path("reports").exists()


def test_prefill_apart_is_refused(cli: Cli, batches: Path) -> None:
    code, _, err = cli(
        "size", "batches.yaml", "--slo", "ttft_p99=1s",
        "--set", "serving.disaggregation={prefill_replicas: 1}",
    )  # fmt: skip
    assert code == 2
    assert "two numbers of replicas" in err


def test_what_exists_is_kept_and_said_at_once(
    cli: Cli, slots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("there").mkdir()
    Path("there", "notes.txt").touch()
    monkeypatch.setattr("rack_sim.study.sizing.search.simulate", None)
    code, _, err = cli("size", "slots.yaml", *SLO, *FEW, "--out", "there")
    assert code == 2
    assert "there: holds other things than a result, and is kept: notes.txt" in err


@pytest.mark.parametrize(("out", "where"), [((), ""), (("--out", "a/b"), " to a/b")])
def test_an_interruption_leaves_nothing(
    cli: Cli, slots: Path, monkeypatch: pytest.MonkeyPatch, out: tuple[str, ...], where: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rack_sim.study.sizing.search.simulate", interrupted)
    code, said, err = cli("size", "slots.yaml", *SLO, *FEW, *out)
    assert (code, said) == (130, "")
    assert err == f"nothing was written{where}\ninterrupted\n"
    assert [path.name for path in Path().iterdir()] == ["slots.yaml"]


def test_equal_bytes_whatever_the_hash_seed(slots: Path) -> None:
    for seed in ("1", "2"):
        subprocess.run(
            [
                sys.executable, "-m", "rack_sim", "size", "slots.yaml", *SLO,
                *(word for word in FEW if word[:4] != "--no"), "--out", seed, "--quiet",
            ],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
    for name in (
        "sizing.csv",
        "candidates.csv",
        "resolved.yaml",
        "candidates.png",
        "candidates.svg",
        "report.html",
        "report.xlsx",
    ):
        assert Path("1", name).read_bytes() == Path("2", name).read_bytes()


def test_the_library_has_the_same(slots: Path) -> None:
    from rack_sim.scenario import load_scenario
    from rack_sim.study.sizing import SizingRequest, size

    asked = SizingRequest(
        {"ttft_p99": "80ms", "tpot_p99": "2ms"}, 150,
        tensor_parallel=[2, 4], stages=[1, 2], replicas_max=8, request_count=200,
    )  # fmt: skip
    found = size(load_scenario("slots.yaml"), asked)
    frame = found.frame()
    fixed = [column.name for column in fixed_columns(CANDIDATES)]
    assert list(frame.columns[: len(fixed)]) == fixed
    assert len(frame) == len(found.candidates)
    best = frame[frame["best_for"].fillna("").str.contains("cheapest")]
    assert list(best["verdict"]) == ["meets"]
    met = frame[frame["verdict"] == "meets"]
    assert float(best["usd_per_year"].iloc[0]) == met["usd_per_year"].min()


@pytest.mark.parametrize("kind", ["slots", "batches"])
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            ("--slo", "ttft_p90=100ms,tpot_mean=0.02s"),
            ("ttft_p90 <= 100 ms: ", "tpot_mean <= 20 ms: "),
        ),
        (
            ("--attainment", "0.9", "--set", "slo={ttft_ms: 400, tpot_ms: 30}"),
            ("90 % of the requests that fit with ttft <= 400 ms and tpot <= 30 ms: ",),
        ),
    ],
)
def test_a_sized_answer_comes_out_as_met(
    cli: Cli, kind: str, asked: tuple[str, ...], words: tuple[str, ...],
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """The command that is printed says what was asked, at which rate, and that it is met."""
    path = request.getfixturevalue(kind)
    few = (
        "--max-replicas",
        "8",
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "--json",
        "--set",
        "workload.request_count=300",
    )
    code, out, err = cli("size", path.name, *asked, "--rate", "90", *few, "--out", "sized")
    assert code == 0, err
    for answer in json.loads(out)["answers"]:
        command = shlex.split(answer["command"])[1:]
        code, out, err = cli(*command, "--no-figures", "--no-workbook", "--out", "again", "--force")
        assert code == 0, err
        flat = " ".join(out.split())
        assert all(word in flat for word in words), out
        assert "all of it is met" in out
        assert "Poisson 90 req/s" in flat
        (row,) = read(Path("again/summary.csv"))
        assert row["slo_met"] == "yes"
        for name, value in answer.items():
            column = name.replace("slo_attainment", "fit_slo_attainment")
            if column in row and value is not None:
                assert row[column] == str(value), name
        page = Path("again/report.html").read_text(encoding="utf-8")
        assert "SLO met" in page
        assert "SLO not met" not in page
    # What was asked stands in the answer's own scenario: it can be asked again without a word.
    code, out, err = cli("size", "sized/resolved.yaml", "--max-replicas", "8", "--json", "-q")
    assert code == 0, err
    again = json.loads(out)
    assert again["question"]["rate_rps"] == 90
    manifest = json.loads(Path("sized/manifest.json").read_text(encoding="utf-8"))
    assert again["question"]["objectives"] == manifest["question"]["objectives"]


def test_what_is_asked_may_stand_in_the_scenario(cli: Cli, slots: Path) -> None:
    """And is judged by `run`: missed where it is, with the numbers; nonsense is refused."""
    few = ("--no-figures", "--no-html", "--no-workbook")
    code, out, _ = cli("run", "slots.yaml", *few, "--set", "slo.asked=ttft_p99=1us")
    assert code == 0
    assert "ttft_p99 <= 0.001 ms: " in out
    assert "that is missed" in out
    code, out, _ = cli("run", "slots.yaml", *few, "--json", "--set", "slo.asked=e2el_p50=1000s")
    assert json.loads(out)["slo_met"] == "yes"
    assert json.loads(out)["slo_asked"] == "e2el_p50 <= 1e+06 ms"
    for given, said in (
        ("slo.asked=ttft_p98=1ms", "'ttft_p98' is no objective"),
        ("slo.asked=ttft_p99=1", "'1' has no unit"),
        ("slo.attainment=0.9", "a share of the requests needs bounds to meet"),
        ("slo={attainment: 1.5, ttft_ms: 1}", "slo.attainment"),
    ):
        code, out, err = cli("run", "slots.yaml", *few, "--set", given)
        assert (code, out) == (2, ""), given
        assert said in err


FITTED = (
    "system.chip.operator_fixed_latency_us={value: 8, source: a fit, grade: fitted, low: %s, "
    "high: 40}"
)


@pytest.mark.parametrize(
    ("low", "said"),
    [
        (0.01, "so the verdict does not hold over the whole range"),
        (6, "so the verdict holds over the whole range"),
    ],
)
def test_a_verdict_that_rests_on_a_fitted_constant_says_so(
    cli: Cli, batches: Path, low: float, said: str
) -> None:
    """With the range of the constant, what is reached at its ends, and whether it still holds."""
    few = (
        "--tensor-parallel",
        "1",
        "--stages",
        "1",
        "--max-replicas",
        "4",
        "--no-figures",
        "--no-html",
        "--no-workbook",
    )
    asked = ("--slo", "tpot_mean=0.2ms", "--rate", "5", "--requests", "100")
    code, out, err = cli("size", "batches.yaml", *asked, *few, "--set", FITTED % low)
    assert (code, out) == (3, ""), err
    flat = " ".join(err.split())
    line = flat.split("it rests on what nobody has published:")[1]
    assert "system.chip.operator_fixed_latency_ps = 8.00 µs (a fit)" in line
    assert "40.00 µs" in line
    assert said in line
    # What is said of an end is what a run with that constant measures.
    value = line.split(" tpot_mean is ")[1].split(" ms")[0].replace(",", "")
    best = flat.split(" ms by ")[1].split(" (tensor")[0].split(" x ")
    code, out, err = cli(
        "size", "batches.yaml", "--slo", "tpot_mean=1000s", "--rate", "5",
        "--requests", "100", *few, "--set", f"system.chip.operator_fixed_latency_us={low}",
        "--json", "--out", "ends",
    )  # fmt: skip
    assert code == 0, err
    code, out, err = cli(
        "run", "ends/resolved.yaml", "--json", "--no-figures", "--no-html", "--no-workbook",
        *(word for key, count in zip(
            ("partition.tensor_parallel", "partition.stages", "serving.replicas"), best, strict=True
        ) for word in ("--set", f"{key}={count}")),
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["tpot_ms_mean"] == pytest.approx(float(value), rel=1e-3)  # 4 digits


def test_a_constant_without_a_range_says_that_none_is_known(cli: Cli, batches: Path) -> None:
    few = (
        "--tensor-parallel",
        "1",
        "--stages",
        "1",
        "--max-replicas",
        "2",
        "--no-figures",
        "--no-html",
        "--no-workbook",
    )
    asked = ("--slo", "tpot_mean=0.1ms", "--rate", "5", "--requests", "100")
    given = "system.chip.operator_fixed_latency_us={value: 8, assumed: a guess}"
    code, _, err = cli("size", "batches.yaml", *asked, *few, "--set", given)
    assert code == 3
    flat = " ".join(err.split())
    assert "operator_fixed_latency_ps = 8.00 µs (assumed: a guess): no range of it is known" in flat
