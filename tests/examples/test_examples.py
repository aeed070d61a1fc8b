"""Each example prints what the file beside it says: `python tests/examples/NAME.py > NAME.out`."""

import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXAMPLES = sorted(path for path in HERE.glob("*.py") if not path.name.startswith("test_"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    found = capsys.readouterr()
    assert found.err == ""
    assert found.out == path.with_suffix(".out").read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [], "examples leave nothing behind"


def test_every_expected_output_has_its_example() -> None:
    assert EXAMPLES
    assert {path.with_suffix(".out") for path in EXAMPLES} == set(HERE.glob("*.out"))
