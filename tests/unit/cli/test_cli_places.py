"""Places: what no command takes for its files, said before any work, with nothing touched."""

import contextlib
import importlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rack_sim.foundation.version import VERSION
from rack_sim.record.directory import run_directory, whole_file

Cli = Callable[..., tuple[int, str, str]]

# command -> its cheapest arguments before --out
DIRECTORIES: dict[str, tuple[str, ...]] = {
    "run": ("run", "small.yaml"),
    "sweep": ("sweep", "jitter"),
    "sweep grid": ("sweep", "links"),
    "size": ("size", "small.yaml", "--slo", "ttft_p99=1s"),
    "compare": ("compare", "small.yaml", "small.yaml"),
    "sensitivity": ("sensitivity", "small.yaml"),
}
# command -> the same, and the ending of its file
FILES: dict[str, tuple[tuple[str, ...], str]] = {
    "report html": (("report", "done"), ".html"),
    "report xlsx": (("report", "done"), ".xlsx"),
    "timeline": (("timeline", "small.yaml"), ".json.gz"),
    "calibrate": (("calibrate", "table.csv", "--chip", "groq-lpu-v1"), ".yaml"),
}
# Where each command's work begins.
WORK = (
    ("run", "simulate"),
    ("sweep", "run_study"),
    ("size", "size_scenario"),
    ("compare", "run_comparison"),
    ("sensitivity", "run_sensitivity"),
    ("report", "read"),
    ("timeline", "simulate"),
    ("timeline", "explain"),
    ("calibrate", "read_table"),
    ("validate_model", "validate"),
)
# What reads the input of each, which is the same every time here.
READING = (
    ("options", "load_scenario"),  # run, size
    ("sweep", "load_study"),
    ("compare", "contenders"),
    ("sensitivity", "load_scenario"),
    ("timeline", "load_scenario"),
)
# What a finished comparison of nothing would say of itself.
MANIFEST = {
    "comparison": [],
    "assumed_by_the_comparison": [],
    "not_alike": [],
    "judged_by": "no objectives",
    "version": VERSION,
}
LONG = 5_000


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    def seen() -> dict[str, object]:
        return {
            str(path): path.readlink() if path.is_symlink() else path.is_dir() or path.read_bytes()
            for path in sorted(folder.rglob("*"))
        }

    before = seen()
    yield
    assert seen() == before


def read_once(read: Callable[..., object]) -> Callable[..., object]:
    """Reads an input once for many commands."""
    found: dict[str, object] = {}

    def reading(first: object, *arguments: object, **options: object) -> object:
        if str(first) not in found:
            found[str(first)] = read(first, *arguments, **options)
        return found[str(first)]

    return reading


@pytest.fixture
def desk(small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory two levels deep with things around it; no work can begin in it."""
    desk = small.parent / "home" / "desk"
    desk.mkdir(parents=True)
    (desk.parent / "thesis.tex").write_text("precious")
    small.rename(desk / "small.yaml")
    (desk / "mine").mkdir()
    (desk / "mine" / "photo").write_text("precious")
    (desk / "file").write_text("precious")
    (desk / "done").mkdir()
    (desk / "done" / "manifest.json").write_text(json.dumps(MANIFEST))
    for name, target in (
        ("link", "mine"),
        ("dangling", "nowhere"),
        ("loop", "loop"),
        ("up", ".."),
    ):
        (desk / name).symlink_to(target)
    monkeypatch.chdir(desk)

    def no_work(*_: object, **__: object) -> None:
        raise AssertionError("work has begun")

    for module, name in WORK:
        monkeypatch.setattr(importlib.import_module(f"rack_sim.cli.{module}"), name, no_work)
    for module, name in READING:
        place = importlib.import_module(f"rack_sim.cli.{module}")
        monkeypatch.setattr(place, name, read_once(getattr(place, name)))
    return desk


def check_refused(cli: Cli, desk: Path, *arguments: str) -> str:
    with unchanged(desk.parent.parent):
        code, out, err = cli(*arguments)
    assert (code, out) == (2, ""), err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


# --out -> what is said of it
NO_DIRECTORY = {
    "..": "holds it, and is kept",
    "../": "holds it, and is kept",
    "mine/../..": "holds it, and is kept",
    "up/.": "is a link to .., and both are kept",
    "up/../..": "holds it, and is kept",
    ".": "is the working directory",
    "./": "is the working directory",
    "": "is the working directory",
    "mine/..": "is the working directory",
    "../desk": "is the working directory",
    "/": "is the root of the file system",
    "//": "is the root of the file system",
    "/..": "is the root of the file system",
    "/proc": "is where something is mounted",
    "link": "is a link to mine, and both are kept",
    "link/": "is a link to mine, and both are kept",
    "link/.": "is a link to mine, and both are kept",
    "dangling": "is a link to nowhere, and both are kept",
    "dangling/new": "cannot be written: No such file",
    "loop": "is a link to loop, and both are kept",
    "loop/new": "cannot be written: Too many levels of symbolic links",
    "file": "is a file, not a directory",
    "file/": "is a file, not a directory",
    "file/new": "cannot be written: ",
    "mine": "holds other things than a result, and is kept: photo",
    "mine/": "holds other things than a result, and is kept: photo",
    "mine/.": "holds other things than a result, and is kept: photo",
    "mine/../mine": "holds other things than a result, and is kept: photo",
    "up/desk/mine": "holds other things than a result, and is kept: photo",
    "new/../other": "new does not exist, and `..` stands behind it",
    "new/..": "new does not exist, and `..` stands behind it",
    "n" * 300: "cannot be written: File name too long",
    "n" * LONG: "cannot be written: File name too long",
    f"new/{'n' * 300}": "cannot be written: File name too long",
}
NO_FILE = {
    "..": "is a directory, not a file",
    ".": "is a directory, not a file",
    "": "is a directory, not a file",
    "/": "is a directory, not a file",
    "mine/..": "is a directory, not a file",
    "mine": "is a directory, not a file",
    "mine/": "is a directory, not a file",
    "link": "is a link to mine, and both are kept",
    "dangling": "is a link to nowhere, and both are kept",
    "loop": "is a link to loop, and both are kept",
    "loop/new*": "cannot be written: Too many levels of symbolic links",
    "dangling/new*": "cannot be written: No such file",
    "file/new*": "cannot be written: ",
    "folder*": "is a directory, not a file",
    "linked*": "is a link to file, and both are kept",
    "pipe*": "is no file, and is kept",
    "new/../other*": "new does not exist, and `..` stands behind it",
    f"{'n' * 300}*": "cannot be written: File name too long",
    f"{'n' * LONG}*": "cannot be written: File name too long",
}


@pytest.mark.parametrize("command", DIRECTORIES.values(), ids=DIRECTORIES)
def test_no_place_for_a_directory(cli: Cli, desk: Path, command: tuple[str, ...]) -> None:
    for number, (place, words) in enumerate(NO_DIRECTORY.items()):
        force = ["--force"] if number % 2 else []  # changes nothing here
        err = check_refused(cli, desk, *command, *force, "--out", place)
        assert words in err, place[:30]
        assert "another --out" in err or "directory inside" in err
        assert "--force" not in err, "which would not help"


@pytest.mark.parametrize(("command", "ending"), FILES.values(), ids=FILES)
def test_no_place_for_a_file(cli: Cli, desk: Path, command: tuple[str, ...], ending: str) -> None:
    (desk / f"folder{ending}").mkdir()
    (desk / f"linked{ending}").symlink_to("file")
    for place, words in NO_FILE.items():
        if place == "pipe*":
            os.mkfifo(desk / f"pipe{ending}")
        for force in ([], ["--force"]):
            with unchanged_but_pipes(desk):
                code, out, err = cli(*command, *force, "--out", place.replace("*", ending))
            assert (code, out) == (2, ""), err
            assert words in err, place[:30]
        (desk / f"pipe{ending}").unlink(missing_ok=True)
    (desk / f"taken{ending}").write_text("precious")
    err = check_refused(cli, desk, *command, "--out", f"taken{ending}")
    assert f"taken{ending}: exists already, and is kept (another --out, or --force)" in err


def unchanged_but_pipes(desk: Path) -> contextlib.AbstractContextManager[None]:
    pipes = any(path.is_fifo() for path in desk.iterdir())  # reading one would wait for ever
    return contextlib.nullcontext() if pipes else unchanged(desk.parent.parent)


@pytest.mark.parametrize("command", DIRECTORIES.values(), ids=DIRECTORIES)
def test_a_mount_point(
    cli: Cli, desk: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty disk is not replaced by a directory, either."""
    (desk / "disk").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "disk")
    err = check_refused(cli, desk, *command, "--out", "disk")
    assert err == "error: disk: is where something is mounted (a directory inside of it)\n"


@pytest.mark.parametrize("command", DIRECTORIES.values(), ids=DIRECTORIES)
def test_a_directory_that_another_run_writes(
    cli: Cli, desk: Path, command: tuple[str, ...]
) -> None:
    with run_directory(Path("busy"), force=False):
        err = check_refused(cli, desk, *command, "--force", "--out", "mine/../busy/")
    assert f"is being written by process {os.getpid()} (wait for it, or another --out)" in err


@pytest.mark.parametrize(("command", "ending"), FILES.values(), ids=FILES)
def test_a_file_that_another_run_writes(
    cli: Cli, desk: Path, command: tuple[str, ...], ending: str
) -> None:
    with whole_file(Path(f"busy{ending}"), force=False):
        err = check_refused(cli, desk, *command, "--force", "--out", f"busy{ending}")
    assert f"busy{ending}: is being written by process {os.getpid()} (wait" in err


def test_the_reports_of_a_directory(cli: Cli, desk: Path) -> None:
    """A report is written into a result, never through a link that someone put there."""
    page = desk / "done" / "report.html"
    page.symlink_to(desk / "file")
    assert "is a link to" in check_refused(cli, desk, "report", "done")
    page.unlink()
    page.mkdir()
    assert "is a directory, not a file" in check_refused(cli, desk, "report", "done")
    assert "is no directory" in check_refused(cli, desk, "report", "nowhere")
    check_refused(cli, desk, "report", "n" * LONG)


def test_the_documentation(cli: Cli, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("rack_sim.cli.validate_model")
    monkeypatch.setattr(module, "docs_folder", lambda: desk)
    with whole_file(desk / "validation.md", force=True):
        err = check_refused(cli, desk, "validate-model", "--write-docs")
    assert "validation.md: is being written by process" in err
    (desk / "validation.json").symlink_to("file")
    assert "is a link to file" in check_refused(cli, desk, "validate-model", "--write-docs")


def test_a_working_directory_that_is_gone(cli: Cli, desk: Path) -> None:
    (desk / "gone").mkdir()
    os.chdir(desk / "gone")
    (desk / "gone").rmdir()
    scenario = str(desk / "small.yaml")
    err = check_refused(cli, desk, "run", scenario, "--out", "out")
    assert "starts in the working directory, which is gone" in err
    assert "holds other things" in check_refused(
        cli, desk, "run", scenario, "--out", str(desk / "mine")
    )


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "size",
        "sweep",
        "explain",
        "timeline",
        "sensitivity",
        "validate",
        "topology",
        "collective",
        "report",
    ],
)
def test_names_no_file_can_have(cli: Cli, desk: Path, command: str) -> None:
    """A reference of thousands of letters is bad input, not a bug of ours."""
    err = check_refused(cli, desk, command, "n" * LONG)
    assert "File name too long" in err or "no system is called 'nnn" in err
    assert len(err) < 1_000
