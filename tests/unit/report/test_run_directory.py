"""Run directory: all files of a run or none; what was there before stays."""

import os
from pathlib import Path

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.report.run_directory import free_directory, run_directory, whole_file


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def write_one(target: Path, text: str = "new", *, force: bool = False) -> None:
    with run_directory(target, force=force) as folder:
        assert folder != target
        (folder / "manifest.json").write_text(text)


def test_it_appears_whole(tmp_path: Path) -> None:
    with run_directory(tmp_path / "a" / "run", force=False) as folder:
        (folder / "x").write_text("1")
        assert folder.name.startswith(".run-")
        assert names(tmp_path / "a") == [folder.name]
    assert names(tmp_path / "a") == ["run"]
    assert names(tmp_path / "a" / "run") == ["x"]


def test_it_can_be_read_as_the_mask_allows(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_one(tmp_path / "run")
    finally:
        os.umask(mask)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, InputError, SystemExit])
def test_an_error_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with (
        pytest.raises(error),
        run_directory(tmp_path / "a" / "b" / "run", force=False) as folder,
    ):
        (folder / "x").write_text("half")
        raise error("stop")
    assert names(tmp_path) == []


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    write_one(tmp_path / "run", "old")
    with (
        pytest.raises(RuntimeError),
        run_directory(tmp_path / "run", force=True) as folder,
    ):
        (folder / "manifest.json").write_text("half")
        raise RuntimeError
    assert names(tmp_path) == ["run"]
    assert (tmp_path / "run" / "manifest.json").read_text() == "old"


def test_a_rename_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_one(tmp_path / "run", "old")
    rename = Path.rename

    def broken(self: Path, target: Path) -> Path:
        if self.name.startswith(".run-") and not self.name.endswith("-old"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(OSError, match="No space left"):
        write_one(tmp_path / "run", force=True)
    assert names(tmp_path) == ["run"]
    assert (tmp_path / "run" / "manifest.json").read_text() == "old"


def test_force_replaces_runs_only(tmp_path: Path) -> None:
    write_one(tmp_path / "run", "old")
    with pytest.raises(InputError, match="exists already, and is kept"):
        write_one(tmp_path / "run")
    write_one(tmp_path / "run", force=True)
    assert (tmp_path / "run" / "manifest.json").read_text() == "new"
    (tmp_path / "empty").mkdir()
    write_one(tmp_path / "empty", force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    for target in (tmp_path / "mine", tmp_path, tmp_path / "mine" / ".."):
        with pytest.raises(InputError, match="holds other things than a run, and is kept"):
            write_one(target, force=True)
    assert names(tmp_path) == ["empty", "mine", "run"]
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "precious"


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file, not a directory"):
        write_one(tmp_path / "file", force=True)
    with pytest.raises(InputError, match=r"file/run: cannot be written: .* \(another --out\)"):
        write_one(tmp_path / "file" / "run")
    assert names(tmp_path) == ["file"]


def test_a_relative_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_one(Path("run"))
    monkeypatch.chdir(tmp_path / "run")
    write_one(Path(), "newer", force=True)
    assert (tmp_path / "run" / "manifest.json").read_text() == "newer"


def test_free_names(tmp_path: Path) -> None:
    assert free_directory(tmp_path, "run") == tmp_path / "run"
    (tmp_path / "run").mkdir()
    (tmp_path / "run-2").write_text("a file counts, too")
    assert free_directory(tmp_path, "run") == tmp_path / "run-3"


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "file"
    with whole_file(target, force=False) as file:
        file.write(b"half")
        assert not target.exists()
    assert target.read_bytes() == b"half"
    assert names(tmp_path / "a") == ["file"]
    with (
        pytest.raises(InputError, match="exists already, and is kept"),
        whole_file(target, force=False),
    ):
        pass
    with whole_file(target, force=True) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"
    with pytest.raises(InputError, match="is a directory"), whole_file(tmp_path, force=True):
        pass
    with (
        pytest.raises(InputError, match="cannot be written"),
        whole_file(target / "b", force=False),
    ):
        pass


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_no_file(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), whole_file(tmp_path / "a" / "file", force=False) as file:
        file.write(b"half")
        raise error
    assert names(tmp_path) == []
    (tmp_path / "old").write_text("old")
    with pytest.raises(error), whole_file(tmp_path / "old", force=True) as file:
        file.write(b"half")
        raise error
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "old"
