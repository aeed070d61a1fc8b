"""The journal of a sweep: what a kill leaves, what is taken up, what is refused."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.study.grid_point import is_finished_row
from rack_sim.study.journal import open_journal

HEAD = {"study": "mine", "study_hash": "0123456789ab", "version": "1", "code": "a"}
ROWS = {f"key{number}": {"status": "ok", "values": {"x": number / 3}} for number in range(5)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "mine.points.jsonl"


def fill(path: Path) -> bytes:
    with open_journal(path, HEAD) as journal:
        for key, row in ROWS.items():
            journal.add(key, row)
    return path.read_bytes()


def taken_up(path: Path, head: dict[str, str] = HEAD) -> tuple[dict[str, object], list[str]]:
    with open_journal(path, head) as journal:
        return dict(journal.rows), list(journal.notes)


def test_what_was_added_is_there(path: Path) -> None:
    fill(path)
    assert taken_up(path) == (ROWS, [])
    with open_journal(path, HEAD) as journal:
        journal.add("more", {"status": "ok"})
    assert taken_up(path)[0] == {**ROWS, "more": {"status": "ok"}}


def test_a_row_is_on_the_disk_when_it_is_added(path: Path) -> None:
    with open_journal(path, HEAD) as journal:
        journal.add("a", {"x": 1})
        line = path.read_bytes().splitlines()[-1]
        seal, rest = line[: len('{"sha256":"",') + 64], line[len('{"sha256":"",') + 64 :]
        assert seal == b'{"sha256":"%s",' % sha256(b"{" + rest).hexdigest().encode()
        assert json.loads(b"{" + rest) == {"key": "a", "row": {"x": 1}}


def test_every_cut_is_survived(path: Path) -> None:
    """Wherever the file ends: whole lines are kept, a torn one is dropped and said."""
    whole = fill(path)
    head_bytes = whole.index(b"\n") + 1
    for size in range(head_bytes + 1, len(whole)):
        path.write_bytes(whole[:size])
        lines = whole[:size].count(b"\n") - 1
        rows, notes = taken_up(path)
        assert rows == dict(list(ROWS.items())[:lines])
        torn = not whole[:size].endswith(b"\n")
        assert len(notes) == torn
        assert not torn or "was torn and is dropped" in notes[0]
        if path.exists():  # one without rows does not stay
            assert path.read_bytes() == whole[: whole[:size].rfind(b"\n") + 1]


def test_a_torn_head_is_a_new_file(path: Path) -> None:
    whole = fill(path)
    path.write_bytes(whole[:10])
    with open_journal(path, HEAD) as journal:
        assert not journal.rows
        journal.add("key0", ROWS["key0"])
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:2])


def test_a_line_that_cannot_be_read_is_left_out(path: Path) -> None:
    lines = fill(path).splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"\0\0\0\n", *lines[3:]]))
    rows, notes = taken_up(path)
    assert rows == {key: row for key, row in ROWS.items() if key != "key1"}
    assert notes == [
        f"{path}:3: is not as it was written: what it said is left out, and its point runs again"
    ]


@pytest.mark.parametrize("number", [1, 2, 4])
@pytest.mark.parametrize(
    "alter",
    [
        lambda line: line.replace(b"0", b"1", 1),
        lambda line: line.replace(b"1", b"2"),
        lambda line: line.replace(b'"ok"', b"null"),
        lambda line: line.replace(b'"values"', b'"vlaues"'),
        lambda line: line.replace(
            b'"row":{', b'"row":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b","
        ),
        lambda line: line.replace(b'"key', b'"\\ud800'),
        lambda line: line.replace(b'"key', b"\xff\xfe"),
        lambda line: line[:-1],
        lambda line: line + b"}",
        lambda line: b"[]",
        lambda line: b"9" * 10_000,
        lambda line: b"",
        lambda line: b'{"key":"key1","row":{"status":"ok","values":{"x":5}}}',
    ],
)
def test_an_altered_line_is_no_row_and_the_others_are(
    path: Path, number: int, alter: Callable[[bytes], bytes]
) -> None:
    """Whatever the change: the other rows are there as they were, and the line is named."""
    lines = fill(path).splitlines()
    altered = alter(lines[number])
    if altered == lines[number]:
        altered = b"x" + altered
    path.write_bytes(b"\n".join([*lines[:number], altered, *lines[number + 1 :], b""]))
    rows, notes = taken_up(path)
    assert rows == {key: row for key, row in ROWS.items() if key != f"key{number - 1}"}
    assert [note.split(": ")[0] for note in notes] == ([f"{path}:{number + 1}"] if altered else [])


def test_every_altered_byte_costs_its_own_line_only(path: Path) -> None:
    """No byte of a row can change without the row being left out."""
    whole = fill(path)
    head_bytes = whole.index(b"\n") + 1
    for place in range(head_bytes, len(whole)):
        if whole[place : place + 1] == b"\n":
            continue
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        number = whole[:place].count(b"\n") - 1
        rows, notes = taken_up(path)
        assert rows == {key: row for key, row in ROWS.items() if key != f"key{number}"}
        assert len(notes) == 1


def test_many_altered_lines_are_one_note(path: Path) -> None:
    lines = fill(path).splitlines()
    path.write_bytes(b"\n".join([*lines[:3], *(line + b" " for line in lines[3:]), b""]))
    rows, notes = taken_up(path)
    assert list(rows) == ["key0", "key1"]
    assert len(notes) == 1
    assert f"{path}:4: is not as it was written, and 2 lines more: " in notes[0]


def test_an_altered_head_leaves_the_rows(path: Path) -> None:
    """The key of a row says of what it is; the head only says it to people."""
    lines = fill(path).splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0].replace(b"mine", b"mime"), *lines[1:]]))
    rows, notes = taken_up(path)
    assert rows == ROWS
    assert [note.split(": ")[0] for note in notes] == [f"{path}:1"]


def test_another_form_is_refused_as_such(path: Path) -> None:
    path.parent.mkdir()
    said = b'{"rack_sim_journal":1,"study":"mine"}'
    path.write_bytes(b'{"sha256":"%s",%s\n{}\n' % (sha256(said).hexdigest().encode(), said[1:]))
    with pytest.raises(InputError, match="another form of journal 1, not 2, and are kept"):
        taken_up(path)


def test_a_journal_without_checksums_is_refused_and_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(said := '{"rack_sim_journal":1,"study":"mine"}\n{"key":"key0","row":{}}\n')
    with pytest.raises(InputError, match="no journal of a sweep, and is kept"):
        taken_up(path)
    assert path.read_text() == said


def test_a_head_alone_is_of_no_study(path: Path) -> None:
    """What a kill before the first row leaves stops no other study or version."""
    with open_journal(path, {**HEAD, "version": "0"}):
        head = path.read_bytes()
    path.parent.mkdir()
    path.write_bytes(head)
    assert taken_up(path) == ({}, [])
    assert not path.exists()


def test_without_rows_it_does_not_stay(path: Path) -> None:
    with open_journal(path, HEAD):
        assert path.exists()
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "2"}, "its rows are of rack-sim 1, not 2, and are kept"),
        ({"code": "b"}, "its rows are of another state of rack-sim's code a, not b, and are kept"),
        ({"study": "other"}, "its rows are of the study mine, not other, and are kept"),
        ({"study_hash": "ba"}, "of the study with the digest 0123456789ab, not ba, and are kept"),
    ],
)
def test_rows_of_something_else_are_kept(path: Path, change: dict[str, str], words: str) -> None:
    """Refused with what to do about it, and not touched; --fresh sets them aside."""
    whole = fill(path)
    with pytest.raises(InputError) as caught:
        taken_up(path, {**HEAD, **change})
    assert words in str(caught.value)
    assert "--fresh sets it aside" in str(caught.value)
    assert path.read_bytes() == whole
    for number in (1, 2):
        with open_journal(path, {**HEAD, **change}, fresh=True) as journal:
            assert not journal.rows
            assert journal.notes == [f"what was there before is in {path}.{number}"]
            journal.add("a", {})
    assert path.with_name(f"{path.name}.1").read_bytes() == whole


def test_another_file_is_kept(path: Path) -> None:
    path.parent.mkdir()
    cut = (b"dear diary\nno end", b"dear diary", b'{"a": 1}\n{"b"')
    for content in (b"dear diary\n", b'{"a": 1}\n', b"[]\n", b"a\nb", *cut):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no journal of a sweep, and is kept"):
            taken_up(path)
        assert path.read_bytes() == content


def test_a_link_is_not_followed(path: Path) -> None:
    path.parent.mkdir()
    (path.parent / "diary").write_bytes(b"")
    path.symlink_to("diary")
    with pytest.raises(InputError, match="cannot be written"):
        taken_up(path)
    assert (path.parent / "diary").read_bytes() == b""


def test_one_at_a_time(path: Path) -> None:
    with (
        open_journal(path, HEAD) as journal,
        pytest.raises(InputError, match="another process is running this study now"),
    ):
        journal.add("a", {})
        taken_up(path)
    assert taken_up(path)[0] == {"a": {}}


def test_where_nothing_can_be_written(path: Path) -> None:
    path.parent.write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        taken_up(path)


@pytest.mark.parametrize(
    "said",
    [b'"key":"key0","row":{"status":"ok"', b'"key":"\xff","row":{}}', b'"key":["key0"],"row":{}}'],
    ids=["no JSON", "no text", "a key that is a list"],
)
def test_a_line_under_a_right_checksum_may_be_none_of_ours(path: Path, said: bytes) -> None:
    fill(path)
    line = b'{"sha256":"%s",%s\n' % (sha256(b"{" + said).hexdigest().encode(), said)
    with path.open("ab") as file:
        file.write(line)
    rows, (note,) = taken_up(path)
    assert rows == ROWS
    assert f"{path}:{len(ROWS) + 2}: is not as it was written" in note


def test_a_row_that_is_none_is_left_out(path: Path) -> None:
    fill(path)
    with open_journal(path, HEAD, is_row=lambda row: row != ROWS["key0"]) as journal:
        assert journal.rows == {key: row for key, row in ROWS.items() if key != "key0"}
        assert f"{path}:2: is not as it was written" in journal.notes[0]


@pytest.mark.parametrize(
    ("row", "is_one"),
    [
        ({"status": "ok", "reason": "", "values": {"seed": 1, "scenario": "x"}}, True),
        ({"status": "infeasible", "reason": "too small", "values": {}}, True),
        ({"status": "failed", "reason": "", "values": {}}, False),
        ({"status": ["ok"], "reason": "", "values": {}}, False),
        ({"status": "ok", "reason": 1, "values": {}}, False),
        ({"status": "ok", "reason": "", "values": []}, False),
        ({"status": "ok", "reason": "", "values": {"seed": "1"}}, False),
        ({"status": "ok", "reason": "", "values": {"seed": True}}, False),
        ({"status": "ok", "reason": "", "values": {"seed": 1.5}}, False),
        ({"status": "ok", "reason": "", "values": {"simulated_s": float("nan")}}, False),
        ({"status": "ok", "reason": "", "values": {"scenario": 1}}, False),
        (0, False),
    ],
)
def test_a_row_has_the_types_of_its_columns(row: object, is_one: bool) -> None:
    assert is_finished_row(row) is is_one
