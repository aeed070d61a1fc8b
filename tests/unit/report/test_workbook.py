"""The workbook: equal bytes for equal files, no cell a formula but ours, nothing dropped unsaid."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from spreadsheets import SOFFICE, drawn, named, opened, recalculated

import rack_sim
from rack_sim.foundation.errors import InputError
from rack_sim.foundation.version import VERSION
from rack_sim.metrics.columns import FILES, SUMMARY
from rack_sim.report import views, workbook
from rack_sim.report.sheets.overview import grouped_columns
from rack_sim.report.sheets.sheet import CELL_CHARACTERS, cell_text, number_or_text
from rack_sim.report.views import Wanted, leave
from rack_sim.scenario import load_study
from rack_sim.study import load
from reports import report

TINY_MODEL = (
    "model={model_type: llama, name: tiny-llama, num_hidden_layers: 8, hidden_size: 1024, "
    "num_attention_heads: 16, num_key_value_heads: 8, intermediate_size: 2816, "
    "vocab_size: 32000, max_position_embeddings: 4096, tie_word_embeddings: false}"
)
NODE = [
    "system=groq-node-8",
    TINY_MODEL,
    "serving.max_context_tokens=2048",
    "partition.tensor_parallel=2",
    "partition.stages=4",
    "serving.concurrent_sequences=4",
    "workload.request_count=60",
]
CALCULATED = {"Capacity", "Cost", "Requests"}  # sheets that have formulas


def made(folder: Path, scenario: str, changes: list[str]) -> Path:
    result = rack_sim.simulate(rack_sim.load(scenario, changes))
    leave(result, folder, wall_s=0, wanted=Wanted(figures=False))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("run"), "llama70b", NODE)


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """The run's folder to change things in."""
    return Path(shutil.copytree(run, tmp_path / "copy"))


def texts(book: Any) -> dict[str, set[str]]:
    return {
        page.title: {
            cell.value for row in page.iter_rows() for cell in row if isinstance(cell.value, str)
        }
        for page in book
    }


def formulas(book: Any) -> set[str]:
    """Sheets that hold a formula."""
    return {
        page.title
        for page in book
        for row in page.iter_rows()
        for cell in row
        if cell.data_type == "f"
    }


def test_equal_files_give_equal_bytes(run: Path, tmp_path: Path) -> None:
    """Also in another process, with another seed of hashes, at another time and place."""
    report(run, tmp_path / "again.xlsx")
    code = (
        "import sys; from pathlib import Path; from rack_sim.record.store import read;"
        "from rack_sim.report.views import view_of; folder, made = map(Path, sys.argv[1:]);"
        "made.write_bytes(view_of(read(folder), made.suffix))"
    )
    elsewhere = Path(shutil.copytree(run, tmp_path / "elsewhere"))
    subprocess.run(
        [sys.executable, "-c", code, elsewhere, tmp_path / "other.xlsx"],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "5", "TZ": "Asia/Tokyo"},
        cwd=Path(rack_sim.__file__).parents[1],
    )
    bytes_ = (run / "report.xlsx").read_bytes()
    assert (tmp_path / "again.xlsx").read_bytes() == bytes_
    assert (tmp_path / "other.xlsx").read_bytes() == bytes_
    with ZipFile(run / "report.xlsx") as file:
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_sheets_are_there_and_linked(run: Path) -> None:
    book = opened(run / "report.xlsx")
    asked = ["Summary", "Inputs", "Chips", "SRAM map", "Links", "Requests", "Cost", "Capacity"]
    assert set(asked) < set(book.sheetnames)
    assert book.sheetnames[0] == "Summary"
    links = {
        cell.hyperlink.location.split("!")[0].strip("'")
        for row in book["Summary"].iter_rows()
        for cell in row
        if cell.hyperlink
    }
    assert links == set(book.sheetnames) - {"Summary"}
    for page in book:
        # Charts stand below each other, each with its numbers beside it.
        upright = page.title == "Charts"
        assert page.page_setup.orientation == ("portrait" if upright else "landscape")
        assert page.sheet_properties.pageSetUpPr.fitToPage
    for name in ("Chips", "Link rows", "Request rows", "Timeline", "SRAM by chip", "Inputs"):
        assert book[name].freeze_panes, name
        assert book[name].auto_filter.ref, name
        assert book[name].print_title_rows, name


def test_charts_have_titles_axes_and_a_text(run: Path) -> None:
    with ZipFile(run / "report.xlsx") as file:
        charts = [name for name in file.namelist() if name.startswith("xl/charts/chart")]
        drawings = [
            file.read(name).decode()
            for name in file.namelist()
            if name.startswith("xl/drawings/drawing")
        ]
        assert len(charts) >= 7
        for name in charts:
            assert b"<c:title>" in file.read(name), name
    assert sum(text.count("<xdr:graphicFrame") for text in drawings) == len(charts)
    assert sum(text.count(' descr="') for text in drawings) == len(charts)


def test_charts_stand_over_the_numbers_of_the_tables(run: Path) -> None:
    from rack_sim.metrics.latency import LATENCY_METRICS
    from rack_sim.record.store import read

    record, book = read(run), opened(run / "report.xlsx")
    rows = list(book["SRAM map"].iter_rows(min_row=4, values_only=True))
    kinds = [head.split("\n")[0] for head in rows[0]]
    (memory,) = drawn(book, "SRAM map")
    for name, sizes in zip(("weight", "kv", "activation", "program", "free"), memory, strict=True):
        assert sizes == [row[kinds.index(f"{name}_bytes")] for row in rows[1:]]
    (percentiles,) = drawn(book, "Requests")
    for percent, values in zip((50, 90, 95, 99), percentiles, strict=True):
        metrics = (*LATENCY_METRICS, "itl")
        assert values == [record.summary[f"{metric}_ms_p{percent}"] for metric in metrics]
    links = record.frame("links.csv")
    (vectors,), (loads,) = drawn(book, "Links")
    assert sum(vectors) == links["step_vectors"].sum()
    assert loads == sorted(links["utilisation"][links["busy_ms"] > 0], reverse=True)
    # The parts of a token's energy and cost add up to what the run says.
    totals = ("joules_per_output_token", "usd_per_million_output_tokens")
    for (parts, _), name in zip(drawn(book, "Cost"), totals, strict=True):
        assert sum(parts) == pytest.approx(record.summary[name], rel=1e-5), name  # six decimals


def test_every_number_of_the_summary_is_there(run: Path) -> None:
    from rack_sim.record.store import read

    assert [c for _, columns in grouped_columns() for c in columns] == list(SUMMARY)
    page = opened(run / "report.xlsx")["Summary"]
    found = {row[0].value: [cell.value for cell in row[1:4]] for row in page.iter_rows()}
    summary = read(run).summary
    for column in SUMMARY:
        value, _, definition = found[column.name]
        assert value == summary[column.name]
        assert definition == column.definition


@pytest.mark.parametrize(
    ("sheet", "file"),
    [("Request rows", "requests.csv"), ("Chips", "chips.csv"), ("SRAM by chip", "memory.csv")],
)
def test_rows_are_those_of_the_file(sheet: str, file: str, run: Path) -> None:
    from rack_sim.record.store import read

    frame = read(run).frame(file)
    rows = list(opened(run / "report.xlsx")[sheet].iter_rows(min_row=4, values_only=True))
    assert [head.split("\n")[0] for head in rows[0]] == [column.name for column in FILES[file]]
    wanted = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    assert [list(row) for row in rows[1:]] == wanted


def test_links_are_sorted_and_add_up(run: Path) -> None:
    from rack_sim.record.store import read

    frame = read(run).frame("links.csv")
    book = opened(run / "report.xlsx")
    rows = list(book["Link rows"].iter_rows(min_row=4, values_only=True))
    place = [head.split("\n")[0] for head in rows[0]].index("utilisation")
    loads = [row[place] for row in rows[1:]]
    assert loads == sorted(loads, reverse=True)
    assert loads == sorted(frame["utilisation"][frame["busy_ms"] > 0], reverse=True)
    kinds = {
        row[0]: row[2] for row in book["Links"].iter_rows(values_only=True) if row[0] is not None
    }
    for name in ("gather", "reduce"):
        assert kinds[name] == frame[f"{name}_step_vectors"].sum() > 0


def test_inputs_have_sources_and_assumed_ones_come_first(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    rows = list(opened(run / "report.xlsx")["Inputs"].iter_rows(min_row=5, values_only=True))
    kinds = [row[0] for row in rows]
    assumed, sourced = len(manifest["assumed"]), len(manifest["sourced"])
    assert kinds[:assumed] == ["assumed"] * assumed
    assert kinds.count("assumed") == assumed
    assert kinds.count("sourced") == sourced
    found = {row[1]: row for row in rows}
    for item in manifest["assumed"] + manifest["sourced"]:
        _, _, value, why, grade, _ = found[item["name"]]
        assert float(value) == float(item["value"])
        assert why == item.get("why", item.get("source"))
        assert grade == item.get("grade")
    assert found["serving.concurrent_sequences"][2] == 4
    assert found["workload.arrivals.kind"][:3] == ("chosen", "workload.arrivals.kind", "poisson")


EVIL = ["=1+1", "+1", "-1+1", "@x", '=HYPERLINK("http://a.b","c")', "http://a.b/c", "\t=1"]


def test_no_text_is_a_formula_or_a_link(copy: Path) -> None:
    """Wherever a name, a source or a reason stands."""
    manifest = json.loads((copy / "manifest.json").read_text())
    for number, text in enumerate(EVIL):
        manifest["sourced"][number].update(name=text, value=text, source=text)
        manifest["assumed"][number % len(manifest["assumed"])]["why"] = text
    manifest["workload"] = "=1+1"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    resolved = (copy / "resolved.yaml").read_text()
    assert "name: tiny-llama" in resolved
    (copy / "resolved.yaml").write_text(resolved.replace("name: tiny-llama", "name: '=1+1'"))
    for file, old, new in (
        ("summary.csv", ",tiny-llama,", ",'=1+1,"),
        ("requests.csv", ",finished,,", ",finished,'=1+1,"),
        ("memory.csv", ",sram", ",'@SUM(A1)"),
        ("links.csv", ",local,", ",'=1+1,"),
    ):
        text = (copy / file).read_text()
        assert old in text
        (copy / file).write_text(text.replace(old, new))
    report(copy, copy / "report.xlsx")
    book = opened(copy / "report.xlsx")
    assert formulas(book) <= CALCULATED
    found = texts(book)
    for text in EVIL:
        # A number is one, whatever its sign; all else is the text it was.
        assert text in found["Inputs"] or isinstance(number_or_text(text), int)
    assert "=1+1" in found["Summary"] & found["Links"] & found["Request rows"]
    assert "@SUM(A1)" in found["SRAM map"] & found["SRAM by chip"]
    for page in book:
        for row in page.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    assert "1+1" not in str(cell.value)
                assert not (cell.hyperlink and cell.hyperlink.target), "a link out of the file"


def test_text_that_is_too_long_is_cut_and_says_so() -> None:
    assert cell_text("x" * CELL_CHARACTERS) == "x" * CELL_CHARACTERS
    cut = cell_text("x" * (CELL_CHARACTERS + 1))
    assert len(cut) == CELL_CHARACTERS
    assert "cut" in cut


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("1e3", 1000.0),
        ("-7", -7),
        ("nan", "nan"),
        ("inf", "inf"),
        ("0x10", "0x10"),
        ("123456789012345678", "123456789012345678"),
        ("", ""),
    ],
)
def test_numbers_are_numbers(text: str, cell: Any) -> None:
    assert number_or_text(text) == cell
    assert type(number_or_text(text)) is type(cell)


def test_rows_left_out_are_counted(run: Path, tmp_path: Path) -> None:
    report(run, tmp_path / "short.xlsx", 24)
    book = opened(tmp_path / "short.xlsx", values=True)
    page = book["Request rows"]
    assert page.max_row == 24
    assert "The first 20 of 60 rows; 40 are left out here and stand in requests.csv." in str(
        page["A2"].value
    )
    notes = texts(book)["Requests"]
    assert any("not all requests are in this workbook" in text for text in notes)
    # The table of all requests stays that of all.
    full = opened(run / "report.xlsx", values=True)["Requests"]
    assert page.parent["Requests"]["B8"].value == full["B8"].value


def test_a_run_writes_no_more_than_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_ROWS_OF_A_RUN", 30)
    folder = made(tmp_path, "llama70b", NODE)
    assert opened(folder / "report.xlsx")["Request rows"].max_row == 30


def test_large_workbooks_say_the_same(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where cells are not kept in memory, every one of them is still there."""
    monkeypatch.setattr(workbook, "_ROWS_IN_MEMORY", 1)
    report(run, tmp_path / "large.xlsx")
    small, large = opened(run / "report.xlsx"), opened(tmp_path / "large.xlsx")
    assert small.sheetnames == large.sheetnames
    for page in small:
        cells = [[cell.value for cell in row] for row in page.iter_rows()]
        assert [[cell.value for cell in row] for row in large[page.title].iter_rows()] == cells


def test_a_run_that_served_nothing(tmp_path: Path) -> None:
    """All requests too long: latencies are empty, and there is no capacity to plan with."""
    changes = [*NODE, "workload.input_tokens={kind: fixed, tokens: 4000}"]
    book = opened(made(tmp_path, "llama70b", changes) / "report.xlsx", values=True)
    assert "shows no capacity" in book["Capacity"]["A2"].value
    found = {row[0]: row[1] for row in book["Summary"].iter_rows(values_only=True) if row[0]}
    assert found["finished_count"] == 0
    assert found["ttft_ms_p99"] is None
    for page in book:
        for row in page.iter_rows():
            assert not [cell.value for cell in row if cell.data_type == "e"], page.title


def test_reactive_chips(tmp_path: Path) -> None:
    folder = made(tmp_path, "llama70b-a100", ["workload.request_count=40"])
    book = opened(folder / "report.xlsx", values=True)
    assert "Iterations" in book.sheetnames
    assert "Stages" not in book.sheetnames
    assert formulas(opened(folder / "report.xlsx")) == CALCULATED
    assert named(book, "chips_bought").value == 4
    assert any("links.csv knows sums" in text for text in texts(book)["Links"])


def test_prefill_and_decode_are_bought_together(tmp_path: Path) -> None:
    changes = [
        "workload.request_count=40",
        "serving.replicas=3",
        "serving.disaggregation.prefill_replicas=1",
        "serving.disaggregation.kv_link={rate_gbytes_per_s: 25, latency_us: 5}",
    ]
    folder = made(tmp_path, "llama70b-a100", changes)
    book = opened(folder / "report.xlsx", values=True)
    assert named(book, "replicas_per_set").value == 3
    assert named(book, "replica_sets").value == 1
    assert named(book, "replicas").value == 3


def test_a_folder_of_something_else_is_refused(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no manifest\.json"):
        report(tmp_path / "empty", tmp_path / "x.xlsx")
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["footprint"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="footprint"):
        report(copy, tmp_path / "x.xlsx")
    assert not (tmp_path / "x.xlsx").exists()


@pytest.mark.parametrize("rows_in_memory", [0, 10**6])
def test_ctrl_c_leaves_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_in_memory: int
) -> None:
    """Neither a workbook nor files on the way to it."""

    def interrupt(*_args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(workbook, "_ROWS_IN_MEMORY", rows_in_memory)
    monkeypatch.setattr("rack_sim.report.kinds.run.write_cost", interrupt)
    with pytest.raises(KeyboardInterrupt):
        report(run, tmp_path / "report.xlsx")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    node = "system: groq-node-8, model.num_hidden_layers: 1, partition.stages: 1"
    machines = ", ".join(
        f"{{name: '{name}', overrides: {{{node}, serving.slot_rows: {rows}}}}}"
        for rows, name in ((1, "=1+1"), (2, "1e5"))
    )
    given = [f"points=[{machines}]", "rates_rps=[20, 100, 300]", "request_count=60"]
    result = load.run(load_study("load", [*given, "slo={ttft_ms: 500}"]))
    folder = tmp_path_factory.mktemp("study")
    leave(result, folder, wall_s=0, wanted=Wanted(figures=False))
    return folder


def test_a_study_has_its_tables_and_a_capacity_for_each_machine(study: Path) -> None:
    book = opened(study / "report.xlsx", values=True)
    assert set(book.sheetnames) >= {"Summary", "Sweep", "Knee", "Inputs", "Capacity", "Capacity 2"}
    assert formulas(opened(study / "report.xlsx")) == {"Capacity", "Capacity 2"}
    rows = list(book["Sweep"].iter_rows(min_row=4, values_only=True))
    heads = [head.split("\n")[0] for head in rows[0]]
    assert [row[0] for row in rows[1:]] == ["=1+1"] * 3 + ["1e5"] * 3
    knees = list(book["Knee"].iter_rows(min_row=5, values_only=True))
    names = [head.split("\n")[0] for head in next(book["Knee"].iter_rows(4, 4, values_only=True))]
    for suffix, row in zip(("", "_2"), knees, strict=True):
        knee = dict(zip(names, row, strict=True))
        rate = knee["slo_met_rps"] or knee["kept_up_rps"]
        assert named(book, f"capacity_rps{suffix}").value == rate
        assert named(book, f"rate_rps{suffix}").value == rate
        assert named(book, f"replica_sets{suffix}").value == 1
        assert named(book, f"chips_of_model{suffix}").value == knee["chip_count"]
        (at,) = [
            line
            for line in rows[1:]
            if line[heads.index("offered_rps")] == rate and line[0] == row[0]
        ]
        tokens = (
            at[heads.index("output_throughput_tok_s")] / at[heads.index("request_throughput_rps")]
        )
        assert named(book, f"output_tokens_per_request{suffix}").value == pytest.approx(
            tokens * at[heads.index("finished_count")] / at[heads.index("request_count")]
        )


@pytest.mark.slow
@pytest.mark.skipif(SOFFICE is None, reason="LibreOffice (soffice) is not installed")
def test_both_machines_are_calculated_on_their_own(study: Path, tmp_path: Path) -> None:
    book = opened(study / "report.xlsx")
    rate = named(book, "rate_rps_2").value
    named(book, "rate_rps_2").value = 10 * rate
    book.save(tmp_path / "changed.xlsx")
    (found,) = recalculated([tmp_path / "changed.xlsx"], tmp_path)
    book = opened(found, values=True)
    assert named(book, "replica_sets").value == 1
    assert named(book, "replica_sets_2").value == 10


# What the manifest of every study says, whatever its kind.
SAID = {
    "description": "",
    "study_hash": "abc",
    "machines": [],
    "assumed_by_the_study": [],
    "assumed": [],
    "sourced": [],
}


def test_any_table_of_a_study_is_shown(tmp_path: Path) -> None:
    """Of a kind whose columns are axes of its own, too; points that failed are counted."""
    manifest = {**SAID, "kind": "grid", "study": "=x", "version": VERSION}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "results.csv").write_text(
        "study,point_name,grid.sram_mib,grid.kind,status,reason,ttft_ms_p99,chip_count\n"
        "'=x,1e5,220,'=ring,ok,,1.25,8\n"
        "'=x,NA,500,torus,infeasible,'-no room,,\n"
    )
    report(tmp_path, tmp_path / "report.xlsx")
    book = opened(tmp_path / "report.xlsx")
    rows = list(book["Sweep"].iter_rows(min_row=5, values_only=True))
    assert rows == [
        ("=x", "1e5", 220, "=ring", "ok", None, 1.25, 8),
        ("=x", "NA", 500, "torus", "infeasible", "-no room", None, None),
    ]
    assert not formulas(book)
    assert "1 infeasible, 1 ok" in texts(book)["Summary"]
    assert "Time to first token (TTFT), p99: always 1.25 ms" in texts(book)["Charts"]


def test_a_grid_is_a_map_of_tinted_cells(tmp_path: Path) -> None:
    manifest = {**SAID, "kind": "grid", "study": "x", "version": VERSION}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    rows = [f"m,{a},{b},ok,,{a + b}" for a in (1, 2, 4) for b in (10, 20, 30)]
    head = "machine,grid.links,grid.hop_ns,status,reason,tpot_ms_p50"
    (tmp_path / "results.csv").write_text("\n".join([head, *rows]) + "\n")
    report(tmp_path, tmp_path / "report.xlsx")
    sheet = opened(tmp_path / "report.xlsx")["Charts"]
    cells = [[cell.value for cell in line[:4]] for line in sheet.iter_rows(min_row=6, max_row=9)]
    assert cells == [
        [None, "1", "2", "4"],
        ["10", 11, 12, 14],
        ["20", 21, 22, 24],
        ["30", 31, 32, 34],
    ]
    assert [str(found.sqref) for found in sheet.conditional_formatting] == ["B7:D9"]
    assert "least, 11 ms, with links 1, hop_ns 10" in sheet["A4"].value


def test_a_study_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"kind": "grid", "version": "0.0.1"}')
    (tmp_path / "results.csv").write_text("point,status\n0,ok\n")
    with pytest.raises(InputError, match=r"written by rack-sim 0\.0\.1"):
        report(tmp_path, tmp_path / "report.xlsx")
