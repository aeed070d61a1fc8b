"""Pages of studies and comparisons: what their tables say, as words, charts and tables."""

import csv
import json
import re
from pathlib import Path

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.version import VERSION
from rack_sim.metrics.load_columns import KNEE, LOAD
from rack_sim.record.store import read
from rack_sim.report.html.page import html_of, plain
from rack_sim.report.html.study import study_page

_GRID_HEAD = ("study", "point", "point_name", "machine")


def written(folder: Path, name: str, columns: list[str], rows: list[dict[str, object]]) -> None:
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def manifest(folder: Path, kind: str, **more: object) -> None:
    content = {"study": "mine", "kind": kind, "study_hash": "abc", "version": VERSION, **more}
    always = {"description": "", "machines": [], "assumed": [], "sourced": []}
    content = {**always, **content, "assumed_by_the_study": ["the sun shines"]}
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")


def page_of(folder: Path):
    return study_page(read(folder))


def known_to_plotly(page) -> None:
    import plotly.graph_objects as go

    for chart in page.charts:
        content = plain({"data": list(chart.traces), "layout": dict(chart.layout)})
        go.Figure(json.loads(re.sub(r'"--[a-z0-9]+"', '"#123456"', json.dumps(content))))


@pytest.fixture
def load(tmp_path: Path) -> Path:
    manifest(tmp_path, "load")
    rates = [
        {
            "machine": "'=rack",
            "chip_count": 8,
            "offered_rps": rate,
            "offered_to_capacity_ratio": rate / 10,
            "request_throughput_rps": min(rate, 9),
            "request_goodput_rps": rate if rate < 5 else 0,
            **{f"{m}_ms_p{p}": rate * p for m in ("ttft", "tpot", "e2el") for p in (50, 90, 99)},
        }
        for rate in (1, 2, 4, 8, 16)
    ]
    written(tmp_path, "load.csv", [c.name for c in LOAD], rates)
    knee = {
        "machine": "'=rack",
        "attainment_asked": 0.99,
        "slo_met_rps": 4,
        "slo_failed_rps": 8,
        "slo_limited_by": "ttft",
        "kept_up_rps": 8,
        "not_kept_up_rps": 16,
        "capacity_limit_rps": 10,
        "is_short": "true",
    }
    written(tmp_path, "knee.csv", [c.name for c in KNEE], [knee])
    return tmp_path


def test_a_load_study_answers_its_question(load: Path):
    page = page_of(load)
    answer = next(section for section in page.sections if section.name == "answer")
    said = " ".join(answer.points).replace("\N{NO-BREAK SPACE}", " ")
    assert "=rack: 99.0 % of the requests that fit meet the SLO up to 4 requests/s" in said
    assert "no longer at 8; what fails there is TTFT" in said
    assert "keeps up with 8 requests/s, and falls behind at 16" in said
    assert "'=rack" not in html_of(page), "the apostrophe is for spreadsheets"
    (warning,) = next(s for s in page.sections if s.name == "warnings").points
    assert "too short a time" in warning
    assert next(s for s in page.sections if s.name == "assumptions").points == ("the sun shines",)


def test_a_load_study_draws_latency_up_to_saturation_and_all_that_is_served(load: Path):
    page = page_of(load)
    charts = {chart.name: chart for chart in page.charts}
    assert set(charts) == {"load-ttft", "load-tpot", "load-e2el", "load-served"}
    p99, p50 = charts["load-ttft"].traces
    assert p50["x"] == p99["x"] == [1, 2, 4, 8], "16 is 1.6 times the capacity"
    assert p99["y"] == [99, 198, 396, 792]
    assert charts["load-served"].traces[0]["x"] == [1, 2, 4, 8, 16]
    assert charts["load-ttft"].layout["shapes"][0]["x0"] == 4, "the knee"
    known_to_plotly(page)


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """A grid of a numeric key and one of words, one point of which does not fit."""
    manifest(
        tmp_path,
        "grid",
        description="What longer contexts take",
        titles={"context": "context, tokens", "precision": "weights"},
        collect={"chip_count": "Chips", "ttft_ms_p99": "TTFT", "bottleneck": "What binds"},
    )
    rows = []
    for context in (1024, 2048, 4096):
        for precision in ("int8", "fp16"):
            fits = (context, precision) != (4096, "fp16")
            rows.append(
                {
                    "study": "mine",
                    "point": len(rows),
                    "point_name": f"{context}, {precision}",
                    "machine": "rack",
                    "grid.context": context,
                    "grid.precision": precision,
                    "status": "ok" if fits else "infeasible",
                    "reason": "" if fits else "<b>too large</b>",
                    **(
                        {
                            "chip_count": context // 128 * (1 if precision == "int8" else 2),
                            "ttft_ms_p99": context / 10,
                        }
                        if fits
                        else {}
                    ),
                }
            )
    columns = [*_GRID_HEAD, "grid.context", "grid.precision", "status", "reason"]
    written(tmp_path, "results.csv", [*columns, "chip_count", "ttft_ms_p99"], rows)
    return tmp_path


def test_a_grid_of_two_keys_is_a_map_with_the_best_point_and_what_limits_each(grid: Path):
    page = page_of(grid)
    charts = {chart.name: chart for chart in page.charts}
    assert set(charts) == {"grid-chip-count", "grid-ttft-ms-p99"}, "words are no numbers"
    chips = charts["grid-chip-count"]
    (map_,) = chips.traces
    assert map_["z"] == [[8, 16, 32], [16, 32, None]]
    assert [chips.layout[f"{axis}axis"]["ticktext"] for axis in "xy"] == [
        ["1,024", "2,048", "4,096"],
        ["int8", "fp16"],
    ]
    assert chips.layout["xaxis"]["title"]["text"] == "context, tokens"
    assert "least, 8 chips, with context 1,024 tokens" in chips.title
    (frame,) = chips.layout["shapes"]
    assert (frame["x0"], frame["y0"]) == (-0.5, -0.5), "the best point is the first"
    assert "infeasible: &lt;b>too large" in str(map_["text"][1][2])
    known_to_plotly(page)


def test_points_that_gave_nothing_are_listed_with_their_reason(grid: Path):
    page = page_of(grid)
    failed = next(section for section in page.sections if section.name == "failed")
    assert failed.tables[0].rows == (("4096, fp16", "infeasible", "<b>too large</b>"),)
    text = html_of(page)
    assert "&lt;b&gt;too large&lt;/b&gt;" in text
    assert "<b>too large" not in text
    answer = next(section for section in page.sections if section.name == "answer")
    assert any("Chips (chips): from 8 at 1024, int8 to 32 at" in point for point in answer.points)
    assert page.subtitle == "What longer contexts take"
    assert any(
        "1\N{NO-BREAK SPACE}point of 6 gave no numbers" in w for w in page.sections[-1].points
    )


def test_strange_columns_are_refused(grid: Path):
    path = grid / "results.csv"
    text = path.read_text(encoding="utf-8").replace("ttft_ms_p99", "ttft_in_the_old_days")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"results\.csv:1: has other columns"):
        page_of(grid)


def test_a_table_that_paper_is_too_narrow_for_names_its_cells(load: Path):
    """Printed, every cell of a wide table stands with its heading; narrow ones have no need."""
    page = page_of(load)
    tables = [table for section in page.sections for table in section.tables]
    wide = next(table for table in tables if table.caption == "load.csv")
    assert wide.is_wide
    text = html_of(page)
    assert text.count('data-heading="offered rps (1/s)"') == len(wide.rows)
    assert text.count('<table class="wide">') == sum(table.is_wide for table in tables)
