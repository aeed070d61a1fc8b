"""Reports of a sizing: the page and the workbook say what sizing.csv and candidates.csv say, are
made again to the same bytes, and refuse what is not whole."""

import csv
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spreadsheets import FIFTEEN_DIGITS, SOFFICE, named, opened, recalculated

from rack_sim.foundation.errors import InputError
from rack_sim.metrics.capacity import RESULTS
from rack_sim.record.store import read
from rack_sim.report.html.page import plain
from rack_sim.report.html.sizing import sizing_page
from rack_sim.report.sheets.sizing_capacity import sizing_facts
from rack_sim.report.sizing_tables import SizingTables
from rack_sim.report.views import ENDINGS
from reports import report

# Both are rounded to the cent, one from watts that are rounded to a thousandth.
CENT = 0.011


@pytest.fixture
def own(sized: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a sizing, to be changed."""
    return Path(shutil.copytree(sized("slots"), tmp_path / "own"))


def tables(folder: Path) -> SizingTables:
    return SizingTables(read(folder))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def spaced(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def section(page: Any, name: str) -> Any:
    (found,) = [one for one in page.sections if one.name == name]
    return found


def another_winner(folder: Path) -> dict[str, str]:
    """Makes another candidate that meets the objectives that of the least power, by hand."""
    candidates, answers = rows(folder / "candidates.csv"), rows(folder / "sizing.csv")
    other = next(row for row in candidates if row["verdict"] == "meets" and not row["best_for"])
    for row in candidates:
        row["best_for"] = row["best_for"].replace(" least_power", "")
    other["best_for"] = "least_power"
    answer = next(row for row in answers if row["goal"] == "least_power")
    answer.update({key: other[key] for key in answer if key in other})
    answer.update(next_smaller="", next_smaller_fails_on="", next_smaller_value="")
    for name, written in (("candidates.csv", candidates), ("sizing.csv", answers)):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(written[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(written)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    (entry,) = manifest["answers"]
    manifest["answers"] = [
        {**entry, "goals": ["fewest_chips", "cheapest"]},
        {**entry, "goals": ["least_power"]},
    ]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return other


def test_the_answer_is_that_of_the_tables(sized: Callable[[str], Path]) -> None:
    folder = sized("slots")
    page, answer = sizing_page(tables(folder)), rows(folder / "sizing.csv")[0]
    assert spaced(page.subtitle) == (
        "Which is the smallest system that serves 150 requests/s with TTFT p99 at most 80 ms and "
        "TPOT p99 at most 2 ms?"
    )
    first = section(page, "answer")
    system, within, cost = first.answers
    for card in first.answers:  # a number stands beside the words, not in them, too
        assert not {fact.value for fact in card.facts if len(fact.value) > 3} & {
            *card.sentence.split()
        }
    assert not cost.sentence
    facts = {fact.what: fact for card in first.answers for fact in card.facts}
    shape = [answer[key] for key in ("tensor_parallel", "stage_count", "replica_count")]
    assert facts["tensor parallel × stages × replicas"].value == " x ".join(shape)
    for what, column in (
        ("to buy", "bought_chip_count"), ("of them hold the model", "chip_count"),
        ("spare, in the same nodes", "spare_chip_count"), ("they stand in", "rack_count"),
        ("not used, in the same nodes", "idle_chip_count"),
    ):  # fmt: skip
        assert facts[what].value == answer[column]
    assert facts["they stand in"].unit.startswith("node")  # each of its racks holds one
    year = float(answer["usd_per_year"])
    assert facts["a year, capital and electricity"].value == f"{year:,.0f}"
    assert facts["mean power in the replay"].unit == "kW"
    left = 80 - float(answer["ttft_ms_p99"])
    assert f"{left:.2f} ms, {100 * left / 80:.1f} % of it left" in spaced(facts["TTFT p99"].note)
    assert (within.verdict, within.sign) == ("good", "Meets the SLO")
    said = spaced(" ".join((*first.points, within.sentence, system.sentence, cost.sentence)))
    assert "TTFT p99 is the tightest objective" in said
    assert f"{answer['one_less']} has TTFT p99" in said
    assert answer["next_smaller_fails_on"] == "capacity"
    assert f"{answer['next_smaller']}: it has fewer rows than are offered" in said
    (command,) = first.commands
    settings = shlex.split(command.line)[4::2]
    assert command.line.startswith("rack-sim run resolved.yaml --set ")
    assert (
        settings
        == json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["answers"][0][
            "run_settings"
        ]
    )


def test_every_candidate_is_drawn_or_counted_and_listed(sized: Callable[[str], Path]) -> None:
    folder = sized("slots")
    page, candidates = sizing_page(tables(folder)), rows(folder / "candidates.csv")
    assert [chart.name for chart in page.charts] == [
        "sizing-ttft-p99-bought-chip-count",
        "sizing-ttft-p99-usd-per-year",
        "sizing-tpot-p99-bought-chip-count",
    ]
    for chart, x, y in (
        (page.charts[0], "bought_chip_count", "ttft_ms_p99"),
        (page.charts[1], "usd_per_year", "ttft_ms_p99"),
        (page.charts[2], "bought_chip_count", "tpot_ms_p99"),
    ):
        known = [row for row in candidates if row[y]]
        points = [t for t in chart.traces if t["marker"]["symbol"] != "circle-open"]
        drawn = sorted(
            pair for trace in points for pair in zip(trace["x"], trace["y"], strict=True)
        )
        assert drawn == sorted((float(row[x]), float(row[y])) for row in known)
        assert len({trace["marker"]["symbol"] for trace in points}) == len(points)
        assert len({trace["marker"]["color"] for trace in points}) == len(points)
        asked = 80 if y == "ttft_ms_p99" else 2
        said = " ".join(str(words["text"]) for words in chart.layout["annotations"])
        assert [line["y0"] for line in chart.layout["shapes"]] == [asked] or f"{asked} ms" in said
        (ring,) = [trace for trace in chart.traces if trace["name"].endswith("least power")]
        (best,) = [row for row in candidates if row["best_for"]]
        assert (ring["x"], ring["y"]) == ([float(best[x])], [float(best[y])])
        missing = len(candidates) - len(known)
        assert (f"{missing} candidate" in spaced(chart.note)) == bool(missing)
        assert len(chart.table.rows) == len(known)
    few, every = section(page, "candidates").tables
    assert (few.is_open, every.is_open) == (True, False)
    assert len(every.rows) == len(candidates)
    assert set(few.rows) <= set(every.rows)
    for row, shown in zip(candidates, every.rows, strict=True):
        words = {"meets": "meets", "fails": "fails", "pruned": "ruled out"}
        assert shown[1] == words[row["verdict"]]
        assert shown[3] == row["bought_chip_count"]
        assert shown[6].startswith("≥") == (row["verdict"] == "pruned")
    (reasons,) = section(page, "searched").tables
    assert sum(int(row[2]) for row in reasons.rows) == len(candidates)


@pytest.mark.parametrize("name", ["slots", "batches"])
def test_plotly_knows_every_attribute(sized: Callable[[str], Path], name: str) -> None:
    import plotly.graph_objects as go

    for chart in sizing_page(tables(sized(name))).charts:
        content = plain({"data": list(chart.traces), "layout": dict(chart.layout)})
        go.Figure(json.loads(re.sub(r'"--[a-z0-9]+"', '"#123456"', json.dumps(content))))


def test_a_share_reads_as_one(sized: Callable[[str], Path]) -> None:
    folder = sized("batches")
    page = sizing_page(tables(folder))
    assert "at least 95 % of the requests that fit" in spaced(page.subtitle)
    (*_, last) = section(page, "answer").tables
    assert spaced(last.rows[0][3]) == "at least 95 %"
    chart = page.charts[0]
    assert [line["y0"] for line in chart.layout["shapes"]] == [95]
    (ring,) = [trace for trace in chart.traces if "fewest chips" in trace["name"]]
    share = float(rows(folder / "sizing.csv")[0]["slo_attainment"])
    assert ring["y"] == pytest.approx([100 * share])


def test_different_answers_stand_side_by_side(own: Path) -> None:
    other = another_winner(own)
    page = sizing_page(tables(own))
    first = section(page, "answer")
    assert [card.question for card in first.answers] == [
        "Fewest chips and cheapest?",
        "Least power?",
    ]
    name = " x ".join(other[k] for k in ("tensor_parallel", "stage_count", "replica_count"))
    assert first.answers[1].facts[0].value == name
    assert len(first.commands) == 2
    assert any(point.startswith("Least power: ") for point in first.points)
    rings = [trace for trace in page.charts[0].traces if trace["name"].endswith("least power")]
    assert len(rings) == 1
    report(own, own / "report.xlsx")
    assert {"Capacity", "Capacity 2"} <= set(opened(own / "report.xlsx").sheetnames)
    assert len(tables(own).winners) == 2
    assert_answers(own)


def test_made_again_they_are_the_same(sized: Callable[[str], Path], tmp_path: Path) -> None:
    """The page and the workbook come from the files, and from nothing else."""
    folder = sized("slots")
    for ending in ENDINGS:
        target = tmp_path / f"again{ending}"
        report(folder, target)
        assert target.read_bytes() == (folder / f"report{ending}").read_bytes()


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda f: (f / "sizing.csv").unlink(), r"sizing\.csv: is missing.*size it again"),
        (lambda f: (f / "candidates.csv").unlink(), r"candidates\.csv: is missing"),
        (lambda f: (f / "candidates.csv").write_text("a\n1\n"), "has other columns than this"),
        (
            lambda f: (f / "sizing.csv").write_bytes(b"\xff\xfe"),
            r"sizing\.csv:1: cannot be read",
        ),
        (lambda f: cut(f / "sizing.csv"), "does not have the answers that its manifest.json has"),
        (
            lambda f: garble(f / "candidates.csv"),
            "2: tensor_parallel: '?many2'? is no",
        ),
        (lambda f: change(f, lambda m: m.pop("answers")), "manifest.json:1: answers: is missing"),
        (
            lambda f: change(f, lambda m: m["question"].pop("rate_rps")),
            "question.rate_rps: is missing",
        ),
        (lambda f: change(f, lambda m: m.update(version="0.0.9")), "was written by rack-sim 0.0.9"),
        (lambda f: (f / "resolved.yaml").unlink(), r"resolved\.yaml"),
    ],
)
def test_what_is_not_whole_is_said_and_the_old_reports_stay(
    own: Path, break_it: Callable[[Path], object], said: str
) -> None:
    break_it(own)
    for ending in ENDINGS:
        before = (own / f"report{ending}").read_bytes()
        with pytest.raises(InputError, match=f"(?s){said}"):
            report(own, own / f"report{ending}")
        assert (own / f"report{ending}").read_bytes() == before
    assert not list(own.glob(".*"))


def cut(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")


def garble(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join((lines[0], f"many{lines[1]}", *lines[2:])), encoding="utf-8")


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("name", ["slots", "batches"])
def test_the_workbook_has_the_tables(sized: Callable[[str], Path], name: str) -> None:
    folder = sized(name)
    book = opened(folder / "report.xlsx", values=True)
    assert book.sheetnames == [
        "Summary", "Sizing", "Candidates", "Charts",
        "Capacity", "Racks", "Inputs", "Definitions",
    ]  # fmt: skip
    candidates = rows(folder / "candidates.csv")
    lines = list(book["Candidates"].iter_rows(min_row=4, values_only=True))
    heads = [str(head).split("\n")[0] for head in lines[0]]
    assert heads == list(candidates[0])
    found = sorted(tuple("" if c is None else str(c) for c in line[:3]) for line in lines[1:])
    assert found == sorted(tuple(row.values())[:3] for row in candidates)
    assert book["Candidates"].auto_filter.ref.startswith("A4:")
    verdicts = [line[heads.index("verdict")] for line in lines[1:]]
    order = ["meets", "fails", "pruned"]
    assert verdicts == sorted(verdicts, key=order.index), "the best first"
    assert_answers(folder)
    asked = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["question"]
    charts = opened(folder / "report.xlsx")["Charts"]._charts
    assert len(charts) == 1 + len(asked["objectives"]), "of the tightest, dollars, too"


def assert_answers(folder: Path) -> None:
    """Each system that answers stands once, on the first sheet and with all its numbers."""
    answers = {row["goal"]: row for row in rows(folder / "sizing.csv")}
    winners = [answers[winner.goals[0]] for winner in tables(folder).winners]
    book = opened(folder / "report.xlsx", values=True)
    lines = book["Sizing"].iter_rows(min_row=4, values_only=True)
    shown = {line[0]: line[1:] for line in lines}
    assert shown["number"].index("unit") == len(winners)
    for column in ("bought_chip_count", "usd_per_year", "mean_watts", "one_less"):
        for cell, row in zip(shown[column], winners, strict=False):
            assert ("" if cell is None else type(cell)(row[column])) == (cell or "")
    first = {line[0]: line[1:] for line in book["Summary"].iter_rows(values_only=True)}
    for words, column in (
        ("Replicas", "replica_count"),
        ("Chips to buy", "bought_chip_count"),
        ("Capital", "capital_usd"),
        ("Capital and electricity of a year", "usd_per_year"),
    ):
        assert [*first[words][: len(winners)]] == [float(row[column]) for row in winners]


@pytest.mark.parametrize("name", ["slots", "batches"])
def test_capacity_gives_back_the_answer(sized: Callable[[str], Path], name: str) -> None:
    sizing = tables(sized(name))
    facts = sizing_facts(sizing, sizing.winners[0])
    plan, row = facts.planned(), sizing.winners[0].row
    assert plan["replicas"] == row["replica_count"]
    assert plan["chips_bought"] == row["bought_chip_count"]
    assert plan["serving_watts"] == pytest.approx(row["mean_watts"], abs=0.001)
    assert plan["usd_per_year"] == pytest.approx(row["usd_per_year"], abs=CENT)
    assert plan["load_share"] == pytest.approx(1)
    assert plan["serving_watts"] <= plan["peak_watts"]


@pytest.mark.skipif(SOFFICE is None, reason="LibreOffice (soffice) is not installed")
@pytest.mark.slow
def test_changed_rates_buy_whole_replicas(sized: Callable[[str], Path], tmp_path: Path) -> None:
    """LibreOffice calculates: as it comes, and for a higher rate with headroom."""
    from openpyxl import load_workbook

    folder = sized("slots")
    changed = tmp_path / "changed.xlsx"
    book = load_workbook(folder / "report.xlsx")
    named(book, "rate_rps").value, named(book, "headroom_share").value = 525, 0.1
    book.save(changed)
    same, more = recalculated([folder / "report.xlsx", changed], tmp_path / "out")
    sizing = tables(folder)
    row, facts = sizing.winners[0].row, sizing_facts(sizing, sizing.winners[0])
    found = opened(same, values=True)
    for name, column in (
        ("replicas", "replica_count"), ("chips_bought", "bought_chip_count"),
        ("racks", "rack_count"), ("capital_usd", "capital_usd"),
    ):  # fmt: skip
        assert named(found, name).value == row[column]
    assert named(found, "usd_per_year").value == pytest.approx(row["usd_per_year"], abs=CENT)
    found = opened(more, values=True)
    # 525 x 1.1 over the part of one of four replicas in 150 requests/s
    assert row["replica_count"] == 4
    assert named(found, "replicas").value == 16
    changes = {"rate_rps": 525.0, "headroom_share": 0.1}
    plan = facts.planned(changes)
    for line in RESULTS:
        value = plan[line.name]
        assert named(found, line.name).value == pytest.approx(value, rel=10 * FIFTEEN_DIGITS)
