"""`rack-sim report`: made again from the files alone, whole or not at all; and what `run`, `sweep`
and `compare` leave."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rack_sim.report.views import ENDINGS

Cli = Callable[..., tuple[int, str, str]]
SHORT = ("--set", "workload.request_count=20", "--no-figures", "-q")


@pytest.fixture
def ran(cli: Cli, small: Path) -> Path:
    """A short run without a report."""
    plan = ("--set", "partition={tensor_parallel: 8, stages: 8}")
    assert cli("run", small, "--out", "out", *SHORT, *plan, "--no-html", "--no-workbook") == (
        0,
        "",
        "",
    )
    return Path("out")


def reports(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.stem == "report"}


def test_it_is_made_again_from_the_files_alone(cli: Cli, ran: Path) -> None:
    """In place, as often as one likes; the scenario is not needed any more."""
    assert reports(ran) == set(), "--no-html, --no-workbook"
    Path("small.yaml").unlink()
    code, out, err = cli("report", ran)
    assert (code, err) == (0, "")
    assert reports(ran) == {f"report{ending}" for ending in ENDINGS}
    assert out == "".join(f"file: out/report{ending}\n" for ending in ENDINGS)
    first = (ran / "report.html").read_bytes()
    assert cli("report", ran, "-q") == (0, "", "")
    assert (ran / "report.html").read_bytes() == first
    assert not list(ran.glob(".*")), "no draft is left"


def test_a_run_leaves_the_same_report(cli: Cli, ran: Path, small: Path) -> None:
    plan = ("--set", "partition={tensor_parallel: 8, stages: 8}")
    assert cli("run", small, "--out", "again", *SHORT, *plan) == (0, "", "")
    assert cli("report", ran, "-q") == (0, "", "")
    one, other = ((folder / "report.html").read_bytes() for folder in (ran, Path("again")))
    assert one == other


def test_another_place(cli: Cli, ran: Path) -> None:
    target = Path("far") / "away" / "mine.html"
    assert cli("report", ran, "--out", target)[0] == 0
    assert target.is_file()
    assert reports(ran) == set()
    target.write_text("mine", encoding="utf-8")
    code, out, err = cli("report", ran, "--out", target)
    assert (code, out) == (2, "")
    assert "exists already, and is kept" in err
    assert target.read_text(encoding="utf-8") == "mine"
    assert cli("report", ran, "--out", target, "--force", "-q") == (0, "", "")
    assert target.stat().st_size > 1_000_000


def test_a_name_that_does_not_say_what_it_is(cli: Cli, ran: Path) -> None:
    code, _, err = cli("report", ran, "--out", "report.pdf")
    assert code == 2
    assert "--out report.pdf" in err
    assert "report.html" in err
    code, _, err = cli("report", ran, "--out", ran)
    assert code == 2


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "has no manifest.json"),
        (
            lambda folder: (folder / "manifest.json").write_text("{"),
            "manifest.json:1:2: cannot be read",
        ),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "is no manifest of ours"),
        (
            lambda folder: (folder / "summary.csv").unlink(),
            "summary.csv: is missing: the result is not whole",
        ),
        (lambda folder: (folder / "links.csv").unlink(), "links.csv: is missing"),
        (
            lambda folder: (folder / "links.csv").write_text("a\n1\n"),
            "links.csv:1: has other columns",
        ),
        (lambda folder: (folder / "memory.csv").write_bytes(b"\xff\xfe\x00"), "memory.csv"),
        (lambda folder: (folder / "resolved.yaml").write_text("a: ["), "resolved.yaml"),
    ],
)
def test_what_is_not_whole_is_said_and_the_old_report_stays(
    cli: Cli, ran: Path, break_it: Callable[[Path], object], said: str
) -> None:
    (ran / "report.html").write_text("old", encoding="utf-8")
    break_it(ran)
    code, out, err = cli("report", ran)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert (ran / "report.html").read_text(encoding="utf-8") == "old"
    assert not list(ran.glob(".*"))


@pytest.mark.parametrize(
    ("place", "given", "said"),
    [
        ("requests.csv: e2el_ms", "1e999", "inf is no finite number ("),
        ("requests.csv: ttft_ms", "-inf", "-inf is no finite number ("),
        ("requests.csv: status", "finishd", "finishd is none of finished, rejected, timed_out ("),
        ("requests.csv: status", "", "nothing is none of finished, rejected, timed_out ("),
        ("memory.csv: kv_bytes", "", "nothing stands where a number must be ("),
        ("memory.csv: kv_bytes", "many", "many is no number ("),
        ("chips.csv: node", "", "nothing stands where a number must be ("),
    ],
)
def test_garbled_cells_are_refused_with_their_line(
    cli: Cli, ran: Path, place: str, given: str, said: str
) -> None:
    """An infinite latency would become a mean and an axis without end."""
    name, column = place.split(": ")
    path = ran / name
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[3].split(",")
    cells[lines[0].split(",").index(column)] = given
    lines[3] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    code, out, err = cli("report", ran)
    assert (code, out) == (2, ""), err
    assert f"{name}:4: {column}: {said}" in " ".join(err.split())
    assert reports(ran) == set()


def test_a_resolved_scenario_of_other_types_is_refused_with_its_lines(cli: Cli, ran: Path) -> None:
    path = ran / "resolved.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    number = next(number for number, line in enumerate(lines) if line.startswith("seed:"))
    lines[number] = "seed: [1]"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    code, out, err = cli("report", ran)
    assert (code, out) == (2, ""), err
    assert f"resolved.yaml:{number + 1}:1: seed: " in err


def test_another_version_is_said(cli: Cli, ran: Path) -> None:
    path = ran / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "version": "0.0.9"}), encoding="utf-8")
    code, _, err = cli("report", ran)
    assert code == 2
    assert "was written by rack-sim 0.0.9" in err


def test_what_is_no_directory_of_ours(cli: Cli, small: Path) -> None:
    Path("empty").mkdir()
    for name, said in (("nowhere", "is no directory"), ("small.yaml", "is no directory")):
        code, _, err = cli("report", name)
        assert code == 2
        assert f"{name}: {said}" in err
    assert "has no manifest.json" in cli("report", "empty")[2]
    assert list(Path("empty").iterdir()) == []
    code, _, err = cli("report", "nowhere", "--out", "new/x.html")
    assert code == 2
    assert not Path("new").exists()


def test_a_comparison_says_what_changed_and_why(cli: Cli, ran: Path, small: Path) -> None:
    """The page has what the terminal says, each once: numbers in a table, causes in words.

    Made again, it is the same.
    """
    plan = ("--set", "partition={tensor_parallel: 8, stages: 8}")
    more = ("--set", "workload.arrivals.rate_rps=40")
    assert cli(
        "run", small, "--out", "fast", *SHORT, *plan, *more, "--no-html", "--no-workbook"
    ) == (0, "", "")
    code, out, _ = cli("compare", "slow=out", "fast=fast", "--out", "c", "--no-figures")
    assert code == 0
    path = Path("c") / "report.html"
    first = path.read_bytes()
    text = first.decode("utf-8")
    told = re.findall(r"workload\.arrivals\.rate_rps</th>\s*<td>20</td>\s*<td>40</td>", text)
    assert len(told) == 1, "once, in the table of inputs"
    lines = [line.strip() for line in out.splitlines()]
    moved = [line.partition(":")[0] for line in lines if " rises from " in line]
    assert moved
    assert all(f"{name}</th>" in text for name in moved)
    causes = [line for line in lines if re.match("T.* bound by: from |the mean T", line)]
    assert all(line[1:] in text for line in causes)
    assert cli("report", "c", "-q") == (0, "", "")
    assert path.read_bytes() == first
    (Path("c") / "changes.csv").write_text("what\n", encoding="utf-8")
    code, _, err = cli("report", "c")
    assert code == 2
    assert "changes.csv:1: has other columns" in err
    assert path.read_bytes() == first


def test_help_teaches(cli: Cli) -> None:
    code, out, _ = cli("report", "--help")
    assert code == 0
    assert "rack-sim report reports/" in out
