"""Run directory: all files of a result or none; what another put there, or was there, stays."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from rack_sim.foundation import locks
from rack_sim.foundation.errors import InputError
from rack_sim.record import directory, renames
from rack_sim.record.claim import TakenError
from rack_sim.record.directory import Draft, free_directory, whole_file

Way = Callable[[Path], AbstractContextManager[Draft]]


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def fill(draft: Draft, text: str) -> None:
    """Makes what stands in a draft look like a result, or a file."""
    if draft.path.is_dir():
        (draft.path / "manifest.json").write_text(json.dumps({"version": "1", "text": text}))
        (draft.path / "summary.csv").write_text(text)
    else:
        draft.path.write_text(text)


def write_one(target: Path, text: str = "new", *, force: bool = False) -> Path:
    with directory.run_directory(target, force=force) as draft:
        assert not draft.path.samefile(target) if target.exists() else True
        fill(draft, text)
    return draft.shown


def text_in(folder: Path) -> str:
    return str(json.loads((folder / "manifest.json").read_text())["text"])


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Nothing below a folder is made, changed or removed in the block."""

    def seen() -> dict[str, object]:
        return {
            str(path): path.readlink() if path.is_symlink() else path.is_dir() or path.read_bytes()
            for path in sorted(folder.rglob("*"))
        }

    before = seen()
    yield
    assert seen() == before


def test_it_appears_whole(tmp_path: Path) -> None:
    with directory.run_directory(tmp_path / "a" / "run", force=False) as draft:
        fill(draft, "1")
        assert all(name.startswith(".run-") for name in names(tmp_path / "a"))
        assert not draft.is_placed
    assert draft.is_placed
    assert not draft.was_moved
    assert draft.shown == tmp_path / "a" / "run"
    assert names(tmp_path / "a") == ["run"]
    assert names(tmp_path / "a" / "run") == ["manifest.json", "summary.csv"]
    manifest = json.loads((tmp_path / "a" / "run" / "manifest.json").read_text())
    assert list(manifest["files"]) == ["manifest.json", "summary.csv"]


def test_it_can_be_read_as_the_mask_allows(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_one(tmp_path / "run")
        with whole_file(tmp_path / "file", force=False) as draft:
            fill(draft, "x")
    finally:
        os.umask(mask)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    (tmp_path / "run").chmod(0o700)
    write_one(tmp_path / "run", force=True)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700, "what was private stays so"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, InputError, SystemExit])
def test_an_error_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with (
        pytest.raises(error),
        directory.run_directory(tmp_path / "a" / "b" / "run", force=False) as draft,
    ):
        fill(draft, "half")
        raise error("stop")
    with pytest.raises(error), whole_file(tmp_path / "a" / "file", force=False) as draft:
        fill(draft, "half")
        raise error("stop")
    assert names(tmp_path) == []


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    write_one(tmp_path / "run", "old")
    (tmp_path / "file").write_text("old")
    with (
        unchanged(tmp_path),
        pytest.raises(RuntimeError),
        directory.run_directory(tmp_path / "run", force=True) as draft,
    ):
        fill(draft, "half")
        raise RuntimeError
    with (
        unchanged(tmp_path),
        pytest.raises(RuntimeError),
        whole_file(tmp_path / "file", force=True) as draft,
    ):
        fill(draft, "half")
        raise RuntimeError


def swaps(_first: Path, _second: Path) -> bool:
    """A system that cannot let two names change places."""
    return False


@pytest.mark.parametrize("kernel", [True, False])
def test_a_rename_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: bool
) -> None:
    write_one(tmp_path / "run", "old")

    def broken(first: Path, second: Path) -> bool:
        raise OSError(28, "No space left on device")

    rename = Path.rename

    def broken_rename(self: Path, target: Path) -> Path:
        if self.name.endswith("-draft"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    if kernel:
        monkeypatch.setattr(directory, "exchange", broken)
    else:
        monkeypatch.setattr(directory, "exchange", swaps)
        monkeypatch.setattr(Path, "rename", broken_rename)
    with unchanged(tmp_path), pytest.raises(InputError, match="cannot be written: No space left"):
        write_one(tmp_path / "run", force=True)


@pytest.mark.parametrize("kernel", [True, False])
def test_force_replaces_results_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: bool
) -> None:
    if not kernel:
        monkeypatch.setattr(directory, "exchange", swaps)
        monkeypatch.setattr(renames, "_CALLS", {})
    write_one(tmp_path / "run", "old")
    with (
        unchanged(tmp_path),
        pytest.raises(InputError, match=r"exists already, and is kept \(another --out, or --force"),
    ):
        write_one(tmp_path / "run")
    write_one(tmp_path / "run", force=True)
    assert text_in(tmp_path / "run") == "new"
    (tmp_path / "run" / "report.html").write_text("made again later, by us")
    write_one(tmp_path / "run", force=True)
    (tmp_path / "run" / "notes.txt").write_text("precious")
    with (
        unchanged(tmp_path),
        pytest.raises(InputError, match="besides a result also other things, and is kept: notes"),
    ):
        write_one(tmp_path / "run", force=True)


FOREIGN = {
    "no manifest": {"thesis.tex": "precious"},
    "a manifest of another program": {"manifest.json": '{"version": "1.0", "name": "app"}'},
    "a manifest whose files are no list": {
        "manifest.json": '{"version": "1", "files": "manifest.json"}'
    },
    "a manifest that does not name itself": {"manifest.json": '{"version": "1", "files": ["x"]}'},
    "a manifest that is no JSON": {"manifest.json": "PK"},
    "a manifest of many brackets": {"manifest.json": "[" * 100_000},
    "a manifest that is a list": {"manifest.json": "[]"},
}


@pytest.mark.parametrize("files", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("force", [True, False])
def test_a_directory_that_is_not_ours(tmp_path: Path, files: dict[str, str], force: bool) -> None:
    (tmp_path / "mine").mkdir()
    for name, text in files.items():
        (tmp_path / "mine" / name).write_text(text)
    with (
        unchanged(tmp_path),
        pytest.raises(InputError, match=f"holds other things than a result.*: {next(iter(files))}"),
    ):
        write_one(tmp_path / "mine", force=force)


def test_a_manifest_that_is_a_link(tmp_path: Path) -> None:
    """A result whose manifest leads elsewhere is not as rack-sim wrote it."""
    write_one(tmp_path / "run")
    (tmp_path / "run" / "manifest.json").rename(tmp_path / "elsewhere.json")
    (tmp_path / "run" / "manifest.json").symlink_to(tmp_path / "elsewhere.json")
    with unchanged(tmp_path), pytest.raises(InputError, match="holds other things"):
        write_one(tmp_path / "run", force=True)


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(mode=0o700)
    assert write_one(tmp_path / "empty") == tmp_path / "empty"
    assert text_in(tmp_path / "empty") == "new"
    assert (tmp_path / "empty").stat().st_mode & 0o777 == 0o700
    assert names(tmp_path) == ["empty"]


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file, not a directory"):
        write_one(tmp_path / "file", force=True)
    with pytest.raises(InputError, match=r"file/run: cannot be written: .* \(another --out\)"):
        write_one(tmp_path / "file" / "run")
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("way", [directory.run_directory, whole_file])
def test_a_name_that_no_path_can_have(tmp_path: Path, way: Callable[..., Way]) -> None:
    """A shell cannot hand it on; Python code can."""
    with pytest.raises(InputError, match=r"a\\0b: holds a NUL"), way(Path("a\0b"), force=True):
        pass


@pytest.mark.parametrize("name", ["run...", "...", " ", "-", "~", "n" * 255, "ü" * 127, "a\nb"])
def test_odd_names_are_names(tmp_path: Path, name: str) -> None:
    """All of these a file can have, with a draft and a lock beside it."""
    write_one(tmp_path / name, "old")
    write_one(tmp_path / name, force=True)
    assert names(tmp_path) == [name]
    with whole_file(tmp_path / "files" / name, force=False) as draft:
        fill(draft, "x")
    assert names(tmp_path / "files") == [name]


def put_directory(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_text("precious")


MEANWHILE: dict[str, Callable[[Path], object]] = {
    "directory": put_directory,
    "empty": Path.mkdir,
    "file": Path.touch,
    "link": lambda path: path.symlink_to("nowhere"),
    "result": lambda path: write_elsewhere(path, "another"),
}


def write_elsewhere(path: Path, text: str) -> None:
    """A result that comes there as if no lock were kept."""
    write_one(path.with_name("elsewhere"), text)
    path.with_name("elsewhere").rename(path)


@pytest.mark.parametrize("put", MEANWHILE.values(), ids=MEANWHILE)
@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("kernel", [True, False])
def test_what_appears_meanwhile_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    put: Callable[[Path], object],
    force: bool,
    kernel: bool,
) -> None:
    if not kernel:
        monkeypatch.setattr(renames, "_CALLS", {})
    (tmp_path / "run-2").mkdir()
    with directory.run_directory(tmp_path / "run", force=force) as draft:
        fill(draft, "new")
        put(tmp_path / "run")
        was = os.lstat(tmp_path / "run").st_ino
    assert draft.was_moved
    assert draft.shown == tmp_path / "run-3"
    assert text_in(tmp_path / "run-3") == "new"
    assert os.lstat(tmp_path / "run").st_ino == was
    assert names(tmp_path) == ["run", "run-2", "run-3"]
    with whole_file(tmp_path / "a.json.gz", force=force) as draft:
        fill(draft, "new")
        put(tmp_path / "a.json.gz")
    assert draft.shown == tmp_path / "a-2.json.gz"
    assert draft.shown.read_text() == "new"


def test_what_comes_into_a_result_or_an_empty_directory_meanwhile_is_kept(tmp_path: Path) -> None:
    write_one(tmp_path / "run", "old")
    (tmp_path / "empty").mkdir()
    for name in ("run", "empty"):
        with directory.run_directory(tmp_path / name, force=True) as draft:
            fill(draft, "new")
            (tmp_path / name / "notes.txt").write_text("precious")
        assert draft.shown == tmp_path / f"{name}-2"
        assert (tmp_path / name / "notes.txt").read_text() == "precious"
    assert text_in(tmp_path / "run") == "old"


def test_what_goes_away_meanwhile_leaves_its_place(tmp_path: Path) -> None:
    write_one(tmp_path / "run", "old")
    with directory.run_directory(tmp_path / "run", force=True) as draft:
        fill(draft, "new")
        (tmp_path / "run").rename(tmp_path / "saved")
    assert not draft.was_moved
    assert (text_in(tmp_path / "run"), text_in(tmp_path / "saved")) == ("new", "old")


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "file"
    with whole_file(target, force=False) as draft:
        fill(draft, "half")
        assert not target.exists()
    assert target.read_bytes() == b"half"
    assert names(tmp_path / "a") == ["file"]
    with (
        pytest.raises(InputError, match="exists already, and is kept"),
        whole_file(target, force=False),
    ):
        pass
    with whole_file(target, force=True) as draft:
        fill(draft, "new")
    assert target.read_bytes() == b"new"
    with pytest.raises(InputError, match="is a directory"), whole_file(tmp_path, force=True):
        pass
    with (
        pytest.raises(InputError, match="cannot be written"),
        whole_file(target / "b", force=False),
    ):
        pass


WAYS: dict[str, Way] = {
    "directory": lambda path: directory.run_directory(path, force=True),
    "file": lambda path: whole_file(path, force=True),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("locked", [True, False])
def test_one_process_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Way, locked: bool
) -> None:
    """Two into one place: the second is refused at once, the first is not disturbed."""
    monkeypatch.setattr(locks, "HAS_LOCKS", locked)
    who = f"process {os.getpid()} " if locked else "another process, or one was killed: /"
    with way(tmp_path / "run") as draft:
        fill(draft, "first")
        with (
            unchanged(tmp_path),
            pytest.raises(TakenError, match=rf"is being written by {who}"),
            way(tmp_path / "run"),
        ):
            raise AssertionError("it must not begin")
        with way(tmp_path / "other") as other:  # its neighbour leaves it alone, too
            fill(other, "x")
    assert names(tmp_path) == ["other", "run"]


def test_free_names(tmp_path: Path) -> None:
    with free_directory(tmp_path, "run") as first, free_directory(tmp_path, "run") as second:
        assert (first.shown, second.shown) == (tmp_path / "run", tmp_path / "run-2")
        fill(first, "1")
        fill(second, "2")
    (tmp_path / "run-3").write_text("a file counts, too")
    (tmp_path / "run-4").symlink_to("nowhere")
    with free_directory(tmp_path, "run") as third:
        assert third.shown == tmp_path / "run-5"
    assert names(tmp_path) == ["run", "run-2", "run-3", "run-4", "run-5"]


def begin(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs Python code that ends in the middle of something."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
    )


KILLED = """
import os, signal, sys
from pathlib import Path
from rack_sim.record import directory as r
way = r.run_directory if sys.argv[2] == "directory" else r.whole_file
with way(Path(sys.argv[1]), force=True) as draft:
    (draft.path / "half.csv" if draft.path.is_dir() else draft.path).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("way", WAYS)
def test_what_a_killed_process_leaves_is_cleared_by_the_next(tmp_path: Path, way: str) -> None:
    """By one that writes anything into the folder, not only to the same place."""
    for name in ("run", "other"):
        assert begin(KILLED, tmp_path / "run", way).returncode == -signal.SIGKILL
        assert len(names(tmp_path)) == 2, "a lock and a draft"
        with WAYS[way](tmp_path / name) as draft:
            fill(draft, "new")
        assert names(tmp_path) == [name]
        assert draft.shown == tmp_path / name
        (tmp_path / name).rename(tmp_path.parent / f"{tmp_path.name}-{name}")


DEAD_BETWEEN_RENAMES = """
import os, sys
from pathlib import Path
from rack_sim.record import directory as r
r.exchange = lambda first, second: False
rename = Path.rename
def dying(self, target):
    if self.name.endswith(sys.argv[2]):
        os._exit(9)
    return rename(self, target)
Path.rename = dying
removed = r.shutil.rmtree
def dying_removal(path, **options):
    if sys.argv[2] == "removal":
        os._exit(9)
    removed(path, **options)
r.shutil.rmtree = dying_removal
with r.run_directory(Path(sys.argv[1]), force=True) as draft:
    (draft.path / "manifest.json").write_text('{"version": "1", "text": "new"}')
"""


def test_death_between_two_renames(tmp_path: Path) -> None:
    """The old result comes back with the next that writes there, whatever took its place."""
    write_one(tmp_path / "run", "old")
    assert begin(DEAD_BETWEEN_RENAMES, tmp_path / "run", "-draft").returncode == 9
    assert not (tmp_path / "run").exists()
    with free_directory(tmp_path, "next") as draft:
        assert text_in(tmp_path / "run") == "old"
        fill(draft, "1")
    assert names(tmp_path) == ["next", "run"]
    assert begin(DEAD_BETWEEN_RENAMES, tmp_path / "run", "-draft").returncode == 9
    (tmp_path / "run").write_text("mine")
    with free_directory(tmp_path, "next") as draft:
        fill(draft, "2")
    assert names(tmp_path) == ["next", "next-2", "run", "run-2"]
    assert (text_in(tmp_path / "run-2"), (tmp_path / "run").read_text()) == ("old", "mine")


def test_death_after_both_renames(tmp_path: Path) -> None:
    write_one(tmp_path / "run", "old")
    assert begin(DEAD_BETWEEN_RENAMES, tmp_path / "run", "removal").returncode == 9
    assert text_in(tmp_path / "run") == "new"
    with free_directory(tmp_path, "next") as draft:
        fill(draft, "1")
    assert names(tmp_path) == ["next", "run"]
    assert text_in(tmp_path / "run") == "new"


def test_an_exchange_is_one_step(tmp_path: Path) -> None:
    """Where the system has it, one name always stands for something."""
    write_one(tmp_path / "a", "1")
    write_one(tmp_path / "b", "2")
    if not renames.exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("the file system of temporary files has no exchange")
    assert (text_in(tmp_path / "a"), text_in(tmp_path / "b")) == ("2", "1")
    with pytest.raises(FileExistsError):
        renames.take_name(tmp_path / "a", tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        renames.exchange(tmp_path / "a", tmp_path / "nowhere")
