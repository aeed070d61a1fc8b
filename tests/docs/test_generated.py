"""What is generated is what the code says now; a stale file names the command that mends it."""

import json
from pathlib import Path

import pytest

from rack_sim.metrics.columns import columns_markdown
from rack_sim.report.example import example_texts
from rack_sim.scenario.reference import reference_markdown
from rack_sim.study.topologies import topologies_markdown
from rack_sim.study.validation import validation_markdown

ROOT = Path(__file__).resolve().parents[2]
MEND = "stale: run scripts/refresh and commit"


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("metrics.md", columns_markdown),
        ("scenario-reference.md", reference_markdown),
        pytest.param("topologies.md", topologies_markdown, marks=pytest.mark.slow),
        pytest.param("validation.md", validation_markdown, marks=pytest.mark.slow),
    ],
)
def test_documentation_is_fresh(name, write):
    """The committed page equals the generated one."""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == write(), f"docs/{name} {MEND}"


def test_the_example_is_fresh():
    """Tables, and the digest of what the figures were drawn from and with."""
    folder = ROOT / "reports" / "example"
    for name, text in example_texts().items():
        assert (folder / name).read_text(encoding="utf-8") == text, f"reports/example/{name} {MEND}"


def test_the_readme_shows_figures_of_the_example():
    """Every picture of the README is there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = [
        part.split(")")[0] for part in text.split("](") if part.split(")")[0].endswith(".png")
    ]
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file(), picture


def test_links_between_pages_lead_somewhere():
    """Relative links in Markdown name files that exist."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for part in page.read_text(encoding="utf-8").split("](")[1:]:
            target = part.split(")")[0].split("#")[0]
            if target and "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_example_stamp_names_its_scenario():
    """The stamp is readable and about the scenario the README runs."""
    stamp = json.loads((ROOT / "reports" / "example" / "stamp.json").read_text(encoding="utf-8"))
    assert stamp["scenario"] == "llama70b"
