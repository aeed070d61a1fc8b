"""report.html says what the files of the run say, and is safe, whole and the same every time."""

import csv
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.visible import visible
from rack_sim.record import store
from rack_sim.report.html.answer import slo_sentence
from rack_sim.report.html.page import Page, html_of, plain, safe_json
from rack_sim.report.html.rack import CHIPS_DRAWN_MAX, FILLS, rack_of
from rack_sim.report.html.rack_drawing import data_of, drawing_of
from rack_sim.report.html.requests import requests_of
from rack_sim.report.html.run import run_page
from rack_sim.report.html.warnings import run_warnings
from rack_sim.scenario import STUDIES
from reports import report

RUNS = ("slots", "batches", "racks")


class Reader(HTMLParser):
    """What a browser would make of a page, as far as we ask."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.scripts, self.links = [], [], [], []
        self._inside = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")
        self.links += [value for name, value in attrs if name in ("src", "href", "action")]

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def data_in(text: str) -> dict:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(found)


@pytest.mark.parametrize("name", RUNS)
def test_a_page_is_whole_and_asks_nobody_for_anything(finished, name):
    text = (finished(name) / "report.html").read_text(encoding="utf-8")
    page = read(text)
    assert [link for link in page.links if not link.startswith("#")] == []
    names = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert {link.removeprefix("#") for link in page.links} <= names, "no link leads nowhere"
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert len(page.scripts) == 3, "data, plotly.js, ours"
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("name", RUNS)
def test_sections_stand_in_the_order_a_planner_reads(finished, name):
    page = run_page(store.read(finished(name)))
    order = ["answer", "racks", "split", "distributions", "over-time", "critical-path", "limits"]
    order += ["replicas"] if name == "batches" else []
    order += ["cost", "inputs", "assumptions", "warnings"]
    assert [section.name for section in page.sections] == order


@pytest.mark.parametrize("name", RUNS)
def test_plotly_knows_every_attribute_of_every_chart(finished, name):
    """Its Python classes refuse what plotly.js would silently leave out."""
    import plotly.graph_objects as go

    page = run_page(store.read(finished(name)))
    assert len(page.charts) >= 6
    for chart in page.charts:
        content = plain({"data": list(chart.traces), "layout": dict(chart.layout)})
        go.Figure(json.loads(re.sub(r'"--[a-z0-9]+"', '"#123456"', json.dumps(content))))


@pytest.mark.parametrize("name", RUNS)
def test_every_chart_is_also_words_and_a_table(finished, name):
    for chart in run_page(store.read(finished(name))).charts:
        assert re.search(r"\d", f"{chart.title} {chart.says}"), chart.name
        assert chart.table.rows, chart.name
        assert {len(row) for row in chart.table.rows} == {len(chart.table.headings)}, chart.name


def test_the_numbers_of_a_split_add_up(finished):
    """The parts of the mean TTFT and of the mean gap are those of the summary."""
    run = store.read(finished("slots"))
    charts = {chart.name: chart for chart in run_page(run).charts}
    for name, whole in (("split-ttft", "ttft_ms_mean"), ("split-tpot", "itl_ms_mean")):
        by_label: dict[str, float] = {}
        labels = charts[name].layout["yaxis"]["ticktext"]
        for trace in charts[name].traces:
            for place, value in zip(trace["y"], trace["x"], strict=True):
                if value is not None:
                    by_label[labels[round(place)]] = value
        wholes = [label for label in by_label if label.startswith(("time ", "physical"))]
        assert run.summary[whole] == pytest.approx(by_label[wholes[0]], abs=8e-6)
        # Columns are rounded to 1e-6 ms, and there are at most eight parts.
        parts = sum(value for label, value in by_label.items() if label not in wholes)
        assert parts == pytest.approx(run.summary[whole], abs=8e-6)


def test_a_histogram_counts_every_request_and_the_curve_is_its_percentiles(finished):
    run = store.read(finished("slots"))
    values = sorted(
        float(row["ttft_ms"])
        for row in rows(finished("slots") / "requests.csv")
        if row["status"] == "finished"
    )
    chart = next(c for c in run_page(run).charts if c.name == "distribution-ttft")
    curve, histogram, half, most = chart.traces
    left, right = chart.layout["xaxis"]["range"]
    assert left <= values[0] <= values[-1] <= right
    assert sum(histogram["y"]) == pytest.approx(100)
    assert (curve["x"][-1], curve["y"][-1]) == (values[-1], 100)
    for ms, percent in zip(curve["x"], curve["y"], strict=True):
        below, within = (sum(one < ms for one in values), sum(one <= ms for one in values))
        assert below <= percent / 100 * len(values) + 1e-9
        assert percent / 100 * len(values) - 1e-9 <= within
    for trace, part in ((half, 50), (most, 99)):
        assert trace["x"] == [pytest.approx(run.summary[f"ttft_ms_p{part}"])]
        assert trace["y"] == [part]


def test_the_slo_is_judged_by_all_requests(finished):
    """Attainment counts who got no answer; the shares are counted from requests.csv."""
    folder = finished("slots")
    run, table = store.read(folder), rows(folder / "requests.csv")
    requests = requests_of(run)
    done = [row for row in table if row["status"] == "finished"]
    limits = {"ttft": 60, "tpot": 5, "e2el": 1000}
    assert requests.objectives_ms == limits
    met = [
        row
        for row in done
        if all(not row[f"{m}_ms"] or float(row[f"{m}_ms"]) <= limit for m, limit in limits.items())
    ]
    lost = len(table) - len(done)
    assert 0 < lost < len(table)
    said, verdict, sign = slo_sentence(run.summary, requests)
    said = said.replace("\N{NO-BREAK SPACE}", " ")
    assert f"{100 * len(met) / len(table):.1f} % of all requests" in said
    assert f"{100 * len(met) / len(done):.1f} % of those that finished" in said
    assert f"{lost} requests got no answer" in said
    expected = len(met) / len(table) >= 0.99
    assert (verdict, "not met" in sign) == (("good", False) if expected else ("bad", True))


def test_warnings_say_who_got_no_answer_and_what_was_assumed(finished):
    folder = finished("slots")
    run = store.read(folder)
    said = " ".join(run_warnings(run, requests_of(run))).replace("\N{NO-BREAK SPACE}", " ")
    table = rows(folder / "requests.csv")
    lost = [row for row in table if row["status"] == "rejected"]
    assert f"{len(lost)} requests" in said
    assert lost[0]["reason"] in said
    assert f"{len(run.facts['assumed'])} inputs without a source" in said
    assert "Only" in said, "fewer than a thousand finished"
    weak = [item for item in run.facts["sourced"] if item["grade"] in ("D", "M")]
    assert all(item["name"] in said for item in weak[:6])


def test_every_chip_and_every_link_of_the_tables_is_in_the_page(finished):
    folder = finished("racks")
    data = data_in((folder / "report.html").read_text(encoding="utf-8"))["rack"]
    memory = {row["chip"]: row for row in rows(folder / "memory.csv")}
    chips = rows(folder / "chips.csv")
    assert len(data["chips"]) == len(chips) == 648
    for shown, row in zip(data["chips"], chips, strict=True):
        number, node, rack, role, stage, used, capacity, _, load, fill, _, _ = shown
        assert [str(number), str(node), str(rack), role] == [
            row["chip"],
            row["node"],
            row["rack"],
            row["role"],
        ]
        assert ("" if stage is None else str(stage)) == row["stage"]
        assert (str(used), str(capacity)) == (row["used_bytes"], row["capacity_bytes"])
        # Numbers that are no whole ones have seven significant digits in a page.
        assert load == pytest.approx(float(row["utilisation"] or 0), rel=1e-6)
        if row["chip"] in memory:
            filled = memory[row["chip"]]
            assert [str(size) for size in data["fillRows"][fill][: len(FILLS)]] == [
                filled[name] for name in FILLS
            ]
        else:
            assert fill is None
    kinds = [name for name, _ in data["kinds"]]
    table = rows(folder / "links.csv")
    assert len(data["links"][0]) == len(table) == 7_128
    for source, target, lane, profile, row in zip(*data["links"], table, strict=True):
        kind, payload, busy_ms, used, _, loads = data["profiles"][profile]
        assert [str(source), str(target), str(lane), kind, str(payload)] == [
            row["source_chip"],
            row["target_chip"],
            row["lane"],
            row["kind"],
            row["payload_bytes"],
        ]
        assert busy_ms == pytest.approx(float(row["busy_ms"]), rel=1e-6)
        assert used == pytest.approx(float(row["utilisation"]), rel=1e-6)
        assert {kinds[place]: count for place, count, _ in loads} == {
            name: int(row[f"{name}_step_vectors"])
            for name in kinds
            if int(row[f"{name}_step_vectors"])
        }


def test_lines_carry_what_their_links_carry(finished):
    """Bytes between nodes, both ways, are those of links.csv that join two nodes."""
    folder = finished("racks")
    rack = rack_of(store.read(folder))
    lines, between_nodes = rack.lines
    assert between_nodes
    node_of = {row["chip"]: row["node"] for row in rows(folder / "chips.csv")}
    crossing = [
        row
        for row in rows(folder / "links.csv")
        if node_of[row["source_chip"]] != node_of[row["target_chip"]]
    ]
    sent = sum(int(row["payload_bytes"]) for row in crossing)
    assert sum(line.there.payload_bytes + line.back.payload_bytes for line in lines) == sent > 0
    for line in lines:
        ends = {str(line.first), str(line.second)}
        own = [
            row
            for row in crossing
            if {node_of[row["source_chip"]], node_of[row["target_chip"]]} == ends
        ]
        assert line.utilisation_max == max(float(row["utilisation"]) for row in own)
        assert line.there.link_count + line.back.link_count == len(own)


def test_many_chips_are_drawn_by_node(own):
    """More chips than can be pointed at: nodes, and the page says so; no chip is in its data."""
    folder = own("racks")
    header, *lines = (folder / "chips.csv").read_text(encoding="utf-8").splitlines()
    copies = [header]
    for copy in range(3):
        for line in lines:
            chip, node, rack, rest = line.split(",", 3)
            rest = rest.replace("stage,", "replica,", 1) if copy and "stage," in rest else rest
            place = (int(chip) + 648 * copy, int(node) + 81 * copy, int(rack) + 9 * copy)
            copies.append(",".join((*map(str, place), rest)))
    (folder / "chips.csv").write_text("\n".join(copies) + "\n", encoding="utf-8")
    rack = rack_of(store.read(folder))
    assert len(rack.chips) == 3 * 648 > CHIPS_DRAWN_MAX
    assert rack.is_by_node
    drawing, data = drawing_of(rack), data_of(rack)
    assert len(drawing["nodes"]) == len(data["nodeRows"]) == 3 * 81
    assert "chips" not in data
    assert "links" not in data
    page = run_page(store.read(folder))
    section = next(section for section in page.sections if section.name == "racks")
    assert any("every square is a node" in sentence for sentence in section.sentences)
    fullest = max(rack.chips[chip].used_bytes for chip in rack.nodes[0])
    assert data["nodeRows"][0][4] == fullest


def test_a_users_text_is_never_markup(own):
    """Names are text wherever they stand: no tag of theirs is one of the page's."""
    folder = own("slots")
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&lt;"
    for name in ("manifest.json", "summary.csv", "resolved.yaml", "requests.csv"):
        path = folder / name
        text = path.read_text(encoding="utf-8")
        if name == "manifest.json":
            content = json.loads(text)
            content["scenario"] = content["workload"] = evil
            content["assumed"][0]["why"] = content["sourced"][0]["source"] = evil
            text = json.dumps(content)
        elif name == "summary.csv":
            text = text.replace("\nsmall,", f'\n"{evil}",').replace("llama-2-7b", evil)
        elif name == "requests.csv":
            reason = next(row["reason"] for row in rows(path) if row["reason"])
            text = text.replace(reason, evil)
        else:
            text = re.sub("^description: .*", f"description: '{evil}'", text, flags=re.M)
        path.write_text(text, encoding="utf-8")
    report(folder, folder / "report.html")
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = read(text)
    assert len(page.scripts) == 3
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert not [1 for _, attrs in page.tags if "onerror" in attrs]
    assert "".join(page.text).count(evil) >= 6, "it is shown as it is written"
    data_in(text)


def test_json_in_a_page_ends_no_element():
    for text in ("</script>", "<!--", "]]>", "\u2028\u2029", "&amp;"):
        said = safe_json({text: text})
        assert not set("<>&\u2028\u2029") & set(said)
        assert json.loads(said) == {visible(text): visible(text)}
    assert safe_json([float("nan"), float("inf"), 0.1 + 0.2, 3.0]) == "[null,null,0.3,3]"


def test_two_pages_of_one_run_are_the_same_bytes(finished, tmp_path):
    """Also in another process, with other hashes, in another place and at another time zone."""
    folder = finished("racks")
    code = (
        "import sys; from pathlib import Path; from rack_sim.record.store import read;"
        "from rack_sim.report.views import view_of; folder, made = map(Path, sys.argv[1:]);"
        "made.write_bytes(view_of(read(folder), made.suffix))"
    )
    target = tmp_path / "again.html"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", code, folder, target], check=True, env=environment)
    assert target.read_bytes() == (folder / "report.html").read_bytes()


def test_rendering_imports_no_other_drawing_library(finished, tmp_path):
    """matplotlib takes long to import, and so do plotly's Python classes."""
    code = (
        "import sys; from pathlib import Path; from rack_sim.record.store import read;"
        "from rack_sim.report.views import view_of; folder, made = map(Path, sys.argv[1:]);"
        "made.write_bytes(view_of(read(folder), made.suffix));"
        "print([n for n in ('matplotlib', 'plotly.graph_objects') if n in sys.modules])"
    )
    command = [sys.executable, "-c", code, finished("slots"), tmp_path / "x.html"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_the_command_line_starts_without_it():
    code = (
        "import sys, rack_sim.cli;"
        "print([n for n in ('jinja2', 'plotly', 'pandas', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "jinja2" not in done.stdout
    assert "plotly" not in done.stdout


def test_a_run_of_nothing_but_rejected_requests_has_a_page(own):
    """Nothing finished: no latency, no chart of one, and the page says so."""
    folder = own("slots")
    table = rows(folder / "requests.csv")
    empty = [row for row in table if row["status"] != "finished"]
    with (folder / "requests.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(empty)
    (summary,) = rows(folder / "summary.csv")
    for name in summary:
        if name.endswith(("_mean", "_p50", "_p90", "_p95", "_p99")) or "per_" in name:
            summary[name] = ""
    summary |= {"finished_count": "0", "request_count": str(len(empty)), "slo_attainment": "0.0"}
    with (folder / "summary.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(summary), lineterminator="\n")
        writer.writeheader()
        writer.writerow(summary)
    page = run_page(store.read(folder))
    assert not [chart for chart in page.charts if chart.name.startswith("distribution")]
    text = html_of(page)
    assert "No request finished" in text
    assert ">nan<" not in text.lower()


TABLES = ("chips", "memory", "links", "requests", "timeline", "critical_path", "replicas")


@pytest.mark.parametrize("name", [f"{table}.csv" for table in TABLES])
def test_a_garbled_table_is_said_and_the_old_page_stays(own, name):
    folder = own("slots")
    before = (folder / "report.html").read_bytes()
    (folder / name).write_text("not,what,it\nwas,1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(name)):
        report(folder, folder / "report.html")
    if name != "critical_path.csv":
        (folder / name).unlink()
        with pytest.raises(InputError, match=re.escape(name)):
            report(folder, folder / "report.html")
    assert (folder / "report.html").read_bytes() == before
    assert not list(folder.glob(".report*")), "no draft is left"


def test_a_study_without_its_tables_is_an_error_that_names_all_of_them(tmp_path):
    from rack_sim.foundation.version import VERSION

    manifest = {
        **{key: [] for key in ("machines", "assumed_by_the_study", "assumed", "sourced")},
        **dict.fromkeys(("description", "study_hash"), "x"),
        "study": "x",
        "kind": "load",
        "version": VERSION,
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        report(tmp_path, tmp_path / "report.html")
    assert len(caught.value.problems) == len(STUDIES["load"].tables)
    manifest["kind"] = "of tomorrow"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(InputError, match="not known: of tomorrow"):
        report(tmp_path, tmp_path / "report.html")
    manifest["version"] = "0.0.9"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(InputError, match=r"0\.0\.9"):
        report(tmp_path, tmp_path / "report.html")


def test_a_page_without_charts_carries_no_plotly():
    text = html_of(Page("nothing", "", (), ()))
    assert len(text) < 60_000
    assert len(read(text).scripts) == 2
