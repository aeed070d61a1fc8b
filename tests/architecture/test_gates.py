"""Gates: text of others leaves the package through one place for each kind of reader.

Each gate makes text harmless by its type: a `str` is text; what is more than text (markup, HTML, a
formula) has a type of its own. So all that matters is that nothing goes around a gate.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "rack_sim"
FILES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))

CONSOLE = "cli/console.py"
CANVAS = "report/figures/canvas.py"
PAGE, PLOT = "report/html/page.py", "report/html/plot.py"
SHEET, EXCEL = "report/sheets/sheet.py", "report/draw/excel.py"
SCENARIO = [file for file in FILES if file.startswith("scenario/")]

# What writes -> the files that may: the gates. ".name" is the method of whatever it is called on.
GATES: dict[str, tuple[str, ...]] = {
    # terminal
    "print": (),
    # There words of ours, before the console is made, and streams that are closed or flushed.
    "sys.stdout": (CONSOLE, "__main__.py"),
    "sys.stderr": (CONSOLE, "__main__.py"),
    "sys.__stdout__": (),
    "sys.__stderr__": (),
    "typer.echo": (),
    "typer.secho": (),
    "traceback.print_exc": (),
    "traceback.print_exception": (),
    "Console": (),
    "_Console": (CONSOLE,),
    "TextColumn": (CONSOLE,),
    ".from_markup": (),
    ".from_ansi": (),
    # figures
    "Figure": (),
    "InertFigure": (CANVAS,),
    ".savefig": (),
    ".print_png": (CANVAS,),
    ".print_svg": (CANVAS,),
    # pages
    "Environment": (PAGE, "engine/programs.py", "engine/serving.py"),  # there SimPy's
    "Template": (),
    ".from_string": (),
    # workbooks
    "Workbook": ("report/workbook.py",),
    ".add_worksheet": (SHEET,),
    ".write_string": (SHEET,),
    ".write_rich_string": (),
    ".write_formula": (SHEET,),
    ".write_array_formula": (),
    ".write_url": (SHEET,),
    ".write_comment": (),
    ".set_header": (),
    ".set_footer": (SHEET,),
    ".insert_textbox": (),
    ".add_chart": (EXCEL,),
    ".add_series": (EXCEL,),
    # tables
    "csv.writer": ("record/csv.py",),
    "csv.DictWriter": (),
    ".to_csv": (),
    ".to_html": (),
    ".to_excel": (),
}
# HTML from text that is not written out where it becomes HTML.
HTML_OF_TEXT = {PAGE: "our own files, and JSON without brackets", PLOT: "just escaped"}

# Words of a call -> what they must be where they are given, and the files that may say otherwise.
WORDS = {
    "markup": ("False", ()),
    "emoji": ("False", ()),
    "parse_math": ("False", ()),
    "usetex": ("False", ()),
    "autoescape": ("True", ()),
    "ensure_ascii": (
        "True",
        # Cells of a sheet; scenarios and their hashes, which are read back and not shown.
        ("foundation/json_text.py", PAGE, "report/sheets/inputs.py", *SCENARIO),
    ),
}


def _used(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno
            if isinstance(node.func, ast.Attribute):
                yield f".{node.func.attr}", node.lineno
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "sys":
            yield ast.unparse(node), node.lineno


def _wrong_words(call: ast.Call, file: str) -> Iterator[str]:
    """Arguments of a call that would make text more than text."""
    is_written_out = bool(call.args) and isinstance(call.args[0], ast.Constant)
    if ast.unparse(call.func) == "Markup" and not is_written_out and file not in HTML_OF_TEXT:
        yield "Markup of what is not written out here"
    for word in call.keywords:
        if word.arg not in WORDS:
            continue
        asked, allowed = WORDS[word.arg]
        if ast.unparse(word.value) != asked and file not in allowed:
            yield f"{word.arg}={ast.unparse(word.value)}"


def _around(source: str, file: str) -> list[str]:
    """What in the source of a file goes around the gates."""
    tree = ast.parse(source)
    found = [
        f"{file}:{line}: {name}"
        for name, line in _used(tree)
        if name in GATES and file not in GATES[name]
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += [f"{file}:{node.lineno}: {words}" for words in _wrong_words(node, file)]
    return found


@pytest.mark.parametrize("file", FILES)
def test_nothing_goes_around_a_gate(file):
    assert not _around((PACKAGE / file).read_text(encoding="utf-8"), file)


@pytest.mark.parametrize(
    "source",
    [
        "print(name)",
        "sys.stderr.write(name)",
        "stream = sys.stdout",
        "typer.echo(name)",
        "traceback.print_exc()",
        "console = Console()",
        "out.print(name, markup=True)",
        "Text.from_markup(name)",
        "Figure()",
        "figure.savefig(path)",
        "axes.text(0, 0, name, parse_math=True)",
        "Markup(name)",
        "Markup(f'<b>{name}</b>')",
        "Environment(autoescape=False)",
        "sheet.page.write_formula(0, 0, name)",
        "csv.writer(file)",
        "frame.to_csv(path)",
        "json.dumps(name, ensure_ascii=False)",
    ],
)
def test_what_goes_around_is_found(source):
    assert _around(source, "report/somewhere.py")


def test_templates_trust_no_text():
    """What a template takes is escaped by its type; no filter says otherwise."""
    for path in PACKAGE.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "|safe" not in text.replace(" ", "") and "autoescape" not in text, path.name
    script = (PACKAGE / "report/html/templates/report.js").read_text(encoding="utf-8")
    for sink in ("outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert sink not in script
    # Only what the page itself said before is put back.
    ours = ("const hint = detail.innerHTML;", "detail.innerHTML = hint;")
    assert script.count("innerHTML") == sum(map(script.count, ours))
