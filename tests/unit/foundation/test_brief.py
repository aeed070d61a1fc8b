"""Values of thousands of parts print as a line and as a small card, foreign text in it harmless."""

from dataclasses import dataclass, field

from rack_sim.foundation.brief import Brief


@dataclass(frozen=True, repr=False)
class Machine(Brief):
    name: str
    chips: tuple[object, ...] = ()
    watts: float = 1.5
    prices: dict[str, int] = field(default_factory=dict)
    hidden: int = field(default=3, repr=False)


def test_plain_values_are_shown_and_others_counted() -> None:
    small = Machine("a", (1, 2), prices={"a": 1})
    assert repr(small) == "Machine(name='a', chips=[1, 2], watts=1.5, prices=<dict of 1>)"
    assert "chips=<tuple of 5,000>" in repr(Machine("a", tuple(range(5_000))))
    assert "chips=<tuple of 1>" in repr(Machine("a", (small,)))


def test_a_line_stays_a_line() -> None:
    long = Machine("x\n" * 10**6, ("\x1b[31m",))
    assert len(repr(long)) < 500
    assert "\n" not in repr(long)
    assert "\x1b" not in repr(long)


def test_foreign_text_in_a_card_is_text() -> None:
    card = Machine("<script>alert('&')</script>", ("<b>",))._repr_html_()
    assert "<script" not in card
    assert "<b>" not in card
    assert "&lt;script&gt;" in card
