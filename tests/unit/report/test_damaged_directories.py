"""Directories of every kind: each has its reports, and damage to any file of it is said as such.

Whatever is done to a file, a report is made of it or InputError says which file it is. Nothing else
comes out, and an older report stays.
"""

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from spreadsheets import opened

import rack_sim.cli
from rack_sim.foundation.errors import InputError
from rack_sim.record.manifest import KINDS, altered, kind_of, read_manifest
from rack_sim.record.store import read
from rack_sim.report.html import read_finished
from rack_sim.report.views import ENDINGS, view_of
from rack_sim.scenario import STUDIES
from rack_sim.study.compare import contenders

UNIT = Path(__file__).parents[1]
SMALL = UNIT / "scenario" / "small.yaml"
PLAN = ("--set", "partition={tensor_parallel: 8, stages: 8}", "--set", "workload.request_count=20")
GRID = f"""kind: grid
name: tiny
scenario: {SMALL}
overrides: {{model.num_hidden_layers: 1, partition.tensor_parallel: 8, partition.stages: 1}}
grid: {{serving.concurrent_sequences: [1, 2000]}}
collect: [tpot_ms_p50]
"""
LOAD = ("--set", f"scenario={SMALL}", "--set", "request_count=40", "--set", "rates_rps=[20, 40]")
JITTER = """kind: jitter
name: jitter
scenario: llama70b
points: [{name: 8 chips, overrides: {system: groq-node-8, model.num_hidden_layers: 1,
  partition.stages: 1}}]
operator_jitter_ns: [0, 50]
step_count: 20
warmup_step_count: 10
repeat_count: 1
seed: 7
"""
# name -> what makes such a directory, but for --out
COMMANDS: dict[str, tuple[object, ...]] = {
    "run": ("run", SMALL, *PLAN),
    "reactive": ("run", UNIT / "cli" / "batches.yaml"),
    "compare": ("compare", "a=run", "b=reactive"),
    "size": (
        "size", UNIT / "cli" / "slots.yaml", "--slo", "ttft_p99=1s", "--rate", "50",
        "--max-replicas", "8", "--tensor-parallel", "2", "--stages", "1", "--requests", "200",
    ),
    "sensitivity": ("sensitivity", SMALL, *PLAN, "--requests", "20"),
    "grid": ("sweep", "tiny.yaml"),
    "load": ("sweep", "load", *LOAD),
    "jitter": ("sweep", "jitter.yaml"),
}  # fmt: skip
WORDS = {  # in the title of its page
    "run": "small",
    "reactive": "batches",
    "compare": "a and b",
    "size": "Size: slots",
    "sensitivity": "Sensitivity: small",
    "grid": "Study: tiny",
    "load": "Study: load",
    "jitter": "Study: jitter",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of each kind, without reports."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "tiny.yaml").write_text(GRID, encoding="utf-8")
    (folder / "jitter.yaml").write_text(JITTER, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, words in COMMANDS.items():
            arguments = [*map(str, words), "--out", name, "--no-figures", "-q"]
            patch.setattr(sys, "argv", ["rack-sim", *arguments])
            assert rack_sim.cli.exit_code() == 0, name
            for report in (folder / name).glob("report.*"):
                report.unlink()
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(shutil.copytree(made / name, tmp_path / name, dirs_exist_ok=True))


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("cell", ["1e999", "many"])
def test_every_table_is_read_with_its_stated_types(
    copy: Callable[[str], Path], kind: str, cell: str
) -> None:
    """What validates a directory says of which table, line and column a number is none."""
    folder = copy(kind)
    for table in sorted(folder.glob("*.csv")):
        intact = table.read_bytes()
        header, first, *rest = csv.reader(intact.decode().splitlines())
        numbers = [at for at, name in enumerate(header) if is_number(name, first[at])]
        for at in (numbers[0], numbers[-1]) if numbers else ():
            changed = [*first[:at], cell, *first[at + 1 :]]
            with table.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([header, changed, *rest])
            with pytest.raises(InputError) as caught:
                read_finished(folder)
            assert f"{table}:2: {header[at]}: " in str(caught.value)
        table.write_bytes(intact)
    read_finished(folder)


def is_number(column: str, cell: str) -> bool:
    """Whether a column is one of numbers by name, and has one in this row."""
    units = ("_ms", "_count", "_bytes", "_tokens", "_p50", "_rps", "_s", "chip", "stage", "replica")
    return column.endswith(units) and cell.replace(".", "").isdigit()


def reports(folder: Path) -> None:
    """The page and the workbook, of one reading."""
    record = read(folder)
    for ending in ENDINGS:
        view_of(record, ending)


def report(folder: Path, number: int) -> None:
    """The page or the workbook, by turns: both are made of one record."""
    view_of(read(folder), ENDINGS[number % 2])


def said_of(folder: Path, make: Callable[[Path], object]) -> str:
    """What InputError says, with the file it is about; nothing where it could be made."""
    try:
        make(folder)
    except InputError as error:
        for problem in error.problems:
            assert problem.place.startswith(str(folder)), problem
        return str(error)
    return ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_kind_has_its_reports(
    name: str, copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """`rack-sim report` makes both of the files alone, and both say what they are of."""
    folder = copy(name)
    monkeypatch.setattr(sys, "argv", ["rack-sim", "report", str(folder)])
    assert rack_sim.cli.exit_code() == 0
    assert capsys.readouterr().err == ""
    assert kind_of(read_manifest(folder)) in KINDS
    assert altered(folder) == []
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"<title>{WORDS[name]}" in page
    book = opened(folder / "report.xlsx")
    titles = [str(book[sheet]["A1"].value) for sheet in book.sheetnames]
    assert not any(".csv" in title for title in titles) or name in STUDIES
    assert not any("Sweep" in title for title in titles) or name in STUDIES
    title = {"compare": "Compare: a and b"}.get(name, WORDS[name])
    assert titles[0].removeprefix("Study: ").removeprefix("Study ") == title.removeprefix("Study: ")


@pytest.mark.parametrize("name", COMMANDS)
def test_no_view_changes_the_record_that_it_is_made_of(name: str, made: Path) -> None:
    """Page, workbook and figures share a record, so its tables stay as the files have them."""
    record = read(made / name)
    for ending in ENDINGS:
        view_of(record, ending)
    for file in record.tables:
        pd.testing.assert_frame_equal(record.frame(file), read(made / name).frame(file))


def others(value: object) -> list[object]:
    """Values of other types, and of the same type that cannot be."""
    found: list[object] = [None, True, 7, -1.5, "words", [], ["x"], {}, {"x": 1}, "\ud800", 10**400]
    return [other for other in found if type(other) is not type(value) or other != value]


def paths(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a tree; of a list the first entry."""
    if isinstance(tree, dict):
        for key, item in tree.items():
            yield (*at, key)
            yield from paths(item, (*at, key))
    elif isinstance(tree, list) and tree:
        yield (*at, 0)
        yield from paths(tree[0], (*at, 0))


def changed(tree: Any, at: tuple[Any, ...], value: object, *, gone: bool = False) -> Any:
    copied = json.loads(json.dumps(tree))
    inside = copied
    for part in at[:-1]:
        inside = inside[part]
    if gone:
        del inside[at[-1]]
    else:
        inside[at[-1]] = value
    return copied


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.slow
def test_a_changed_manifest_is_said(name: str, copy: Callable[[str], Path]) -> None:
    """Every key removed, and every value of another type: most have their line."""
    folder = copy(name)
    path = folder / "manifest.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    passed, lined = [], 0
    for at in paths(tree):
        inside = tree
        for part in at:
            inside = inside[part]
        for gone, value in [(True, None), *((False, other) for other in others(inside))]:
            text = json.dumps(changed(tree, at, value, gone=gone), indent=2)
            path.write_text(text, encoding="utf-8")
            said = said_of(folder, read_manifest)
            lined += f"{path}:" in said
            if not said:
                passed.append(text)
                assert altered(folder) == [path]
    assert lined > 20
    for text in passed[:: 1 + len(passed) // 3]:  # what is not looked at does no harm
        path.write_text(text, encoding="utf-8")
        said_of(folder, reports)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"7", b'"x"', b"\xff\xfe\x00{", b"\x00", b"[" * 100_000,
        b'{"version": ' + b"9" * 6000 + b"}", b'{"version": 1e999}', b'{"version": "\\ud800"}',
    ],
    ids=range(11),
)  # fmt: skip
def test_a_manifest_that_is_none(name: str, content: bytes, copy: Callable[[str], Path]) -> None:
    folder = copy(name)
    (folder / "manifest.json").write_bytes(content)
    for make in (reports, lambda folder: contenders([str(folder), str(SMALL)])):
        if make is not reports and not (folder / "summary.csv").exists():
            continue
        assert "manifest.json" in said_of(folder, make)


CELLS = ("", "words", "-1", "1e999", "nan", "9" * 5000, "\u2028", "=1+1", "\x00", "true", "'", "[")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.slow
def test_a_changed_table_is_said_or_shown(name: str, copy: Callable[[str], Path]) -> None:
    """A cell of every column becomes something else; rows and bytes go."""
    folder, turn = copy(name), count()
    for path in sorted(folder.glob("*.csv")):
        whole = path.read_bytes()
        lines = whole.decode("utf-8").splitlines()
        head, row = lines[0].split(","), lines[1] if len(lines) > 1 else ""
        for number in range(0, len(head), max(1, len(head) // 6)):
            if row.count(",") + 1 != len(head):
                break
            cells = row.split(",")
            cells[number] = CELLS[number % len(CELLS)]
            text = "\n".join([lines[0], ",".join(cells), *lines[2:], ""])
            path.write_text(text, encoding="utf-8")
            said_of(folder, partial(report, number=next(turn)))
        for content in (
            b"", whole[: len(whole) // 2], whole[:-1], b"\xff\xfe" + whole, whole + b'"',
            whole.replace(b",", b";"), lines[0].encode() + b"\n", b"\x00" * 99,
            whole.replace(lines[0].encode(), lines[0][::-1].encode()), whole + b"1,2,3\n",
        ):  # fmt: skip
            path.write_bytes(content)
            said_of(folder, partial(report, number=next(turn)))
        path.write_bytes(whole)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "compare"])
@pytest.mark.slow
def test_a_changed_scenario_is_said_or_shown(name: str, copy: Callable[[str], Path]) -> None:
    folder, turn = copy(name), count()
    path = folder / "resolved.yaml"
    whole = path.read_text(encoding="utf-8")
    tree = yaml.safe_load(whole)
    top = [(key,) for key in tree]
    odd = [value for value in others(None) if value != "\ud800"]  # no file that is read has such
    for number, at in enumerate([*top, *[at for at in paths(tree) if len(at) > 1][::30]]):
        for value in (odd[number % len(odd)], None)[: 1 + number % 2]:
            text = yaml.safe_dump(changed(tree, at, value, gone=value is None), sort_keys=False)
            path.write_text(text, encoding="utf-8")
            said_of(folder, partial(report, number=next(turn)))
    for content in (b"", b"\xff", b"[" * 9999, b"a: [", whole.encode()[: len(whole) // 2]):
        path.write_bytes(content)
        said_of(folder, partial(report, number=next(turn)))


@pytest.mark.parametrize("name", ["run", "reactive"])
def test_what_is_compared_is_as_it_was_written(name: str, copy: Callable[[str], Path]) -> None:
    """A run whose numbers were changed is not held against another one."""
    folder = copy(name)
    path = folder / "summary.csv"
    whole = path.read_text(encoding="utf-8")
    head, row = (line.split(",") for line in whole.splitlines())
    for column in ("rack_count", "ttft_ms_p99", "scenario", "tpot_bound_by"):
        cells = list(row)
        cells[head.index(column)] = "7"
        path.write_text("\n".join([",".join(head), ",".join(cells), ""]), encoding="utf-8")
        said = said_of(folder, lambda folder: contenders([str(folder), str(SMALL)]))
        assert f"{path}: is not as rack-sim wrote it" in said
    path.write_text(whole, encoding="utf-8")
    assert said_of(folder, lambda folder: contenders([str(folder), str(SMALL)])) == ""
