"""Formula text: a formula as a spreadsheet has it, with the addresses or names of its cells."""

from collections.abc import Callable, Mapping

from rack_sim.metrics.formula import Applied, ConditionalTerm, ConstantTerm, Named, Term

_WRITTEN: Mapping[str, str] = {
    "add": "{}+{}",
    "subtract": "{}-{}",
    "multiply": "{}*{}",
    "divide": "{}/{}",
    "equal": "{}={}",
    "at_least": "{}>={}",
    "is_number": "ISNUMBER({})",
    "round_up": "ROUNDUP(ROUND({},9),0)",
    "round_down": "INT({})",
    "row_of": "VLOOKUP({},{},{},FALSE)",
    "row_from": "VLOOKUP({},{},{},TRUE)",
}
# Signs that bind more loosely need brackets beside those that bind more closely.
_BINDS = {"equal": 0, "at_least": 0, "add": 1, "subtract": 1, "multiply": 2, "divide": 2}
_CLOSEST = 3


def formula_text(term: Term, cell_of: Callable[[str], str]) -> str:
    """The formula; `cell_of` says where a quantity stands."""
    match term:
        case Named():
            return cell_of(term.name)
        case ConstantTerm():
            return _constant(term.given)
        case ConditionalTerm():
            parts = (term.condition, term.then, term.otherwise)
            return f"IF({','.join(formula_text(part, cell_of) for part in parts)})"
        case Applied():
            texts = (_argument(term, place, cell_of) for place in range(len(term.arguments)))
            return _WRITTEN[term.function].format(*texts)
    raise TypeError(f"no formula is made of {term!r}")


def _argument(whole: Applied, place: int, cell_of: Callable[[str], str]) -> str:
    """A part, in brackets where the sheet would else calculate in another order."""
    part = whole.arguments[place]
    text = formula_text(part, cell_of)
    outside = _BINDS.get(whole.function)
    if outside is None or not isinstance(part, Applied):
        return text
    # Equal signs go from the left to the right.
    return f"({text})" if _BINDS.get(part.function, _CLOSEST) < outside + place else text


def _constant(given: float | str | None) -> str:
    if isinstance(given, int | float):
        return f"{given:.15g}"
    quoted = (given or "").replace('"', '""')
    return f'"{quoted}"'
