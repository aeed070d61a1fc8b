"""The Python of the tutorial and of the README runs, and prints what stands under it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.M | re.S)


def blocks_of(page):
    """Each block of Python, the line that it begins at, and what it is said to print."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = list(BLOCK.finditer(text))
    for number, block in enumerate(found):
        if block[1] == "python":
            after = found[number + 1] if number + 1 < len(found) else None
            printed = after[2] if after and after[1] == "text" else ""
            yield text[: block.start()].count("\n") + 2, block[2], printed


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(tmp_path, monkeypatch, capsys):
    """Block after block in one namespace, as a reader would."""
    monkeypatch.chdir(tmp_path)
    names = {}
    found = list(blocks_of("docs/tutorial.md"))
    assert len(found) > 10
    for line, source, printed in found:
        exec(compile("\n" * (line - 1) + source, "docs/tutorial.md", "exec"), names)
        assert capsys.readouterr().out == printed, f"docs/tutorial.md:{line}"
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"mine.csv", "occupancy.png", "run.xlsx", "sram.yaml"}


def test_what_the_tutorial_prints_stands_right_under_it():
    """No text stands between a block and what it prints, and nothing is printed by nobody."""
    text = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    printed = [block for block in BLOCK.finditer(text) if block[1] == "text"]
    assert printed
    for block in printed:
        assert text[: block.start()].endswith("```\n\n"), block[2]


def test_the_readme_does_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ((line, source, _),) = blocks_of("README.md")
    names = {}
    exec(compile("\n" * (line - 1) + source, "README.md", "exec"), names)
    chips, rest = capsys.readouterr().out.split("\n", 1)
    assert chips == "576"
    ttft_ms = names["result"].summary["ttft_ms_p99"]
    assert rest.startswith(f"{ttft_ms} ")
    assert "request_id" in rest
