"""Formulas as a sheet has them: in the same order of operations, with the names of its cells."""

import operator
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.metrics.capacity import FACTS, INPUTS, RESULTS
from rack_sim.metrics.formula import (
    Named,
    Term,
    at_least,
    choice,
    is_number,
    quotient,
    round_down,
    round_up,
    row_from,
    row_of,
)
from rack_sim.report.sheets.formula_text import formula_text

A, B, C = Named("a"), Named("b"), Named("c")
VALUES = {"a": 0.1, "b": 0.7, "c": 1e9}

operands = st.sampled_from([A, B, C])
signs = st.sampled_from([operator.add, operator.sub, operator.mul, operator.truediv])


def applied(terms: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    def apply(sign: Callable[[Term, Term], Term], one: Term, other: Term) -> Term:
        return sign(one, other)

    return st.builds(apply, signs, terms, terms)


@given(st.recursive(operands, applied, max_leaves=8))
def test_arithmetic_keeps_its_order(term: Term) -> None:
    """Python reads the four signs and brackets as a sheet does: the same float comes out."""
    text = formula_text(term, str)
    try:
        wanted = term.value(VALUES)
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            eval(text, {}, VALUES)
        return
    assert eval(text, {}, VALUES) == wanted


def test_no_bracket_more_than_needed() -> None:
    assert formula_text(A * (1 + B) / C - A, str) == "a*(1+b)/c-a"
    assert formula_text(A - (B + C), str) == "a-(b+c)"
    assert formula_text(A / (B * C), str) == "a/(b*c)"


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (round_up(A / B), "ROUNDUP(ROUND(x!a/x!b,9),0)"),
        (round_down(A), "INT(x!a)"),
        (quotient(A, B), 'IF(x!b=0,"",x!a/x!b)'),
        (choice(at_least(A, B + 1), 'a "word"', 0.5), 'IF(x!a>=x!b+1,"a ""word""",0.5)'),
        (choice(is_number(A), A, None), 'IF(ISNUMBER(x!a),x!a,"")'),
        (row_of(A, B, 2), "VLOOKUP(x!a,x!b,2,FALSE)"),
        (2e6 * 1.0 + row_from(A, B, 5) * 3, "2000000+VLOOKUP(x!a,x!b,5,TRUE)*3"),
        (A * 31557600.0 / 1e-6, "x!a*31557600/1e-06"),
    ],
)
def test_functions_and_constants(term: Term, text: str) -> None:
    assert formula_text(term, lambda name: f"x!{name}") == text


def test_formulas_of_the_plan_name_cells_only() -> None:
    """What the Capacity sheet writes has no name that no cell has."""
    asked: set[str] = set()

    def cell_of(name: str) -> str:
        asked.add(name)
        return name

    for one in RESULTS:
        assert one.formula is not None
        assert formula_text(one.formula, cell_of)
    tables = {"rack_table", "basis_table"}
    assert asked <= {one.name for one in (*INPUTS, *FACTS, *RESULTS)} | tables
