"""Errors on the command line: exit code, words on stderr, no traceback, nothing half written."""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import rack_sim.cli
from rack_sim.foundation.errors import ConservationError

Cli = Callable[..., tuple[int, str, str]]
# The attribute of that name of `rack_sim.cli` is the command, a function.
RUN = importlib.import_module("rack_sim.cli.run")
COMMAND = Path(sys.executable).with_name("rack-sim")


def names(folder: Path) -> set[str]:
    """Everything in a folder, hidden files too."""
    return {entry.name for entry in folder.iterdir()}


def check_refused(cli: Cli, *arguments: object) -> str:
    """Exit code 2, nothing on stdout, no traceback, no new file; returns stderr."""
    before = names(Path.cwd())
    code, out, err = cli(*arguments)
    assert code == 2, err
    assert out == ""
    assert "Traceback" not in err
    assert "bug" not in err
    assert names(Path.cwd()) == before
    return err


@pytest.mark.parametrize("command", ["run", "explain", "validate"])
def test_bad_scenarios(cli: Cli, small: Path, command: str) -> None:
    text = small.read_text()
    small.write_text(text.replace("seed: 1", "sede: 1\nslo: {ttft: 5}"))
    err = check_refused(cli, command, "small.yaml")
    judged = "small.yaml was judged as a scenario\n" if command == "validate" else ""
    assert err == (
        "error: small.yaml:14:1: unknown key 'sede' (did you mean 'seed'?)\n"
        "error: small.yaml:15:7: 'ttft' is in no unit of time "
        "(allowed: ttft_ps, ttft_ns, ttft_us, ttft_ms, ttft_s)\n"
        f"2 problems\n{judged}"
    )
    for name, message in [
        ("nope.yaml", "error: nope.yaml: no such file"),
        ("llama70", "error: no scenario is called 'llama70' (did you mean 'llama70b'?)"),
        (".", "error: .: is a directory, a file is needed"),
    ]:
        assert check_refused(cli, command, name).startswith(message)
    Path("empty.yaml").write_text("")
    Path("binary.yaml").write_bytes(os.urandom(100) + b"\xff")
    assert "empty.yaml:1:1: is empty" in check_refused(cli, command, "empty.yaml")
    assert "is not UTF-8 text" in check_refused(cli, command, "binary.yaml")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "small.yaml", "--sed", "3"),
        ("run", "small.yaml", "--seed", "-1"),
        ("run", "small.yaml", "--seed", "x"),
        ("run", "small.yaml", "--seed", "1.5"),
        ("run", "small.yaml", "--set"),
        ("run", "small.yaml", "extra"),
        ("rum", "small.yaml"),
        ("list", "chps"),
        ("list",),
        ("validate",),
        ("trace", "summary"),
        ("trace", "sumary", "x"),
        ("--nope",),
    ],
)
def test_usage(cli: Cli, small: Path, arguments: tuple[str, ...]) -> None:
    err = check_refused(cli, *arguments)
    assert err.startswith("error: ")


def test_seed_given_twice(cli: Cli, small: Path) -> None:
    err = check_refused(cli, "run", "small.yaml", "--seed", 1, "--set", "seed=2")
    assert "clashes with --set seed=" in err


def test_infeasible(cli: Cli, small: Path) -> None:
    before = names(small.parent)
    code, out, err = cli("run", "llama70b", "--set", "precision.weights=fp16")
    assert (code, out) == (3, "")
    assert names(small.parent) == before, "not even an empty reports folder"
    lines = err.splitlines()
    assert lines[0].startswith("infeasible: llama-2-70b with fp16 weights")
    demand, bound, gap = (int(lines[number].split()[1].replace(",", "")) for number in (1, 2, 3))
    assert [line.split()[0] for line in lines[1:4]] == ["demand", "bound", "gap"]
    assert demand - bound == gap > 0
    assert lines[4] == "  terms:"
    end = lines.index("  what would make it fit:")
    terms = {line.split()[0]: int(line.split()[1].replace(",", "")) for line in lines[5:end]}
    assert terms["weights"] == 2 * 68_976_648_192
    assert sum(terms.values()) == demand
    assert "    - precision.weights: int8" in lines[end + 1 :]
    assert "Traceback" not in err


def test_output_that_exists_is_kept(cli: Cli, small: Path) -> None:
    Path("out").mkdir()
    Path("out/mine.txt").write_text("precious")
    for force in ([], ["--force"]):
        err = check_refused(
            cli,
            "run",
            "small.yaml",
            "--no-figures",
            "--no-html",
            "--no-workbook",
            "--out",
            "out",
            *force,
        )
        said = "holds other things than a result, and is kept: mine.txt (another --out)"
        assert err == f"error: out: {said}\n"
    assert Path("out/mine.txt").read_text() == "precious"


def test_output_where_a_file_is_in_the_way(cli: Cli, small: Path) -> None:
    Path("file").write_text("mine")
    for out, message in [
        ("file", "error: file: is a file, not a directory"),
        ("file/run", "error: file/run: cannot be written: "),
        ("file/a/b", "error: file/a/b: cannot be written: "),
    ]:
        err = check_refused(
            cli,
            "run",
            "small.yaml",
            "--no-figures",
            "--no-html",
            "--no-workbook",
            "--force",
            "--out",
            out,
        )
        assert err.startswith(message)
    assert Path("file").read_text() == "mine"


def test_an_error_inside_is_ours(cli: Cli, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("seven of nine")

    before = names(small.parent)
    monkeypatch.setattr(RUN, "simulate", broken)
    code, out, err = cli("run", "small.yaml", "--out", "deep/er")
    assert (code, out) == (1, "")
    assert "RuntimeError: seven of nine" in err
    assert err.endswith("this is a bug in rack-sim; please report it with the lines above\n")
    assert names(small.parent) == before


def test_a_replay_that_ended_wrong_is_ours(
    cli: Cli, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ConservationError("5 tokens in, 4 out")

    monkeypatch.setattr(RUN, "simulate", broken)
    code, _, err = cli("run", "small.yaml")
    assert code == 1
    assert err == "5 tokens in, 4 out\nthis is a bug in rack-sim; please report it\n"
    assert names(small.parent) == {"small.yaml"}


def test_an_error_while_writing_leaves_the_old_run(
    cli: Cli, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        cli(
            "run", "small.yaml", "--no-figures", "--no-html", "--no-workbook", "-q", "--out", "out"
        )[0]
        == 0
    )
    kept = {path.name: path.read_bytes() for path in Path("out").iterdir()}

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("rack_sim.cli.leave.leave", broken)
    assert cli("run", "small.yaml", "--out", "out", "--force")[0] == 1
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == kept
    assert names(small.parent) == {"small.yaml", "out"}


def test_interrupted_in_this_process(
    cli: Cli, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RUN, "simulate", interrupted)
    assert cli("run", "small.yaml", "--out", "a/b") == (
        130,
        "",
        "nothing was written to a/b\ninterrupted\n",
    )
    assert names(small.parent) == {"small.yaml"}


def test_ctrl_c(small: Path) -> None:
    """SIGINT to a real process in the middle of a long replay."""
    folder = small.parent / "runs"
    folder.mkdir()
    arguments = [
        "run",
        "small.yaml",
        "--every-step",
        "--no-figures",
        "--no-html",
        "--no-workbook",
        "--out",
        "runs/one",
    ]
    # A process started in the background ignores SIGINT; this one must not.
    start = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from rack_sim.__main__ import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", start, *arguments, "--set", "workload.request_count=1000000"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(2400):
            if names(folder):  # the hidden draft: the replay has begun
                break
            time.sleep(0.05)
        assert names(folder)
        time.sleep(0.5)
        assert process.poll() is None, "it is in the middle"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err.strip().splitlines()[-2:] == ["nothing was written to runs/one", "interrupted"]
    assert out == ""
    assert "Traceback" not in err
    assert names(folder) == set()


def test_the_installed_command(small: Path) -> None:
    """Exit code and streams of a real process whose stdin is closed."""
    arguments = [COMMAND, "validate", "small.yaml", "nope.yaml"]
    done = subprocess.run(
        ["sh", "-c", '"$0" "$@" <&-', *arguments], check=False, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout.startswith("small.yaml: ok (scenario small, ")
    assert done.stderr == "error: nope.yaml: no such file\n"


def test_an_error_that_a_library_made_of_an_interrupt(
    cli: Cli, small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """pydantic's core wraps a KeyboardInterrupt in an error of its own; it is none of ours."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("KeyboardInterrupt")

    monkeypatch.setattr(RUN, "simulate", broken)
    monkeypatch.setattr(sys, "argv", ["rack-sim", "run", "small.yaml"])
    capsys.readouterr()
    assert rack_sim.cli.exit_code(lambda: True) == 130
    assert capsys.readouterr() == ("", "interrupted\n")
    assert names(small.parent) == {"small.yaml"}


LONG = ("1" * 60_000 + "x", "a b " * 15_000)


@pytest.mark.parametrize("text", LONG, ids=["word", "words"])
@pytest.mark.parametrize(
    "command",
    [
        "validate llama70b --set seed=@",
        "validate llama70b --set @",
        "validate llama70b --set model=@",
        "validate llama70b --set name=@",
        "run llama70b --out @",
        "run llama70b --trace @",
        "size llama70b --slo @",
        "collective ring:4 --bytes @",
        "calibrate @ --chip @",
        "trace summary @",
        "list @",
        "@",
    ],
)
def test_text_of_any_length_is_told_in_brief(cli: Cli, command: str, text: str) -> None:
    """Whatever is given, whoever complains of it: a screen holds what is said, and its end."""
    code, out, err = cli(*(word.replace("@", text) for word in command.split()))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.endswith("\n")
    assert all(len(line) < 3000 for line in err.splitlines())
