"""Tasks of a made-up path, put together: pieces of one task on one unit, names, ties."""

from dataclasses import dataclass

from rack_sim.compiler.program import PathStep
from rack_sim.metrics.critical_path import PathShare, shares, stretches, where_of, whole_name
from rack_sim.timing.terms import Terms

HERE, THERE = object(), object()
UNIT, OTHER_UNIT, LINK = ("matrix", 0), ("matrix", 1), (0, 1)


@dataclass
class Path:
    """A program, of which only the path is asked for."""

    steps: list[PathStep]

    def critical_path(self) -> list[PathStep]:
        return self.steps


def path(*tasks: tuple[str, object, object, int]) -> Path:
    """Tasks one after the other: name, unit, part, picoseconds."""
    steps, now_ps = [], 0
    for number, (name, resource, part, spent_ps) in enumerate(tasks):
        terms = Terms(compute_ps=spent_ps)
        steps.append(PathStep(number, part, name, resource, now_ps, terms))
        now_ps += spent_ps
    return Path(steps)


def joined(*tasks: tuple[str, object, object, int]) -> list[tuple[str, int, int, int]]:
    """Name, tasks, beginning and time of each stretch."""
    return [
        (found.name, found.task_count, found.start_ps, found.terms.total_ps)
        for found in stretches(path(*tasks))
    ]


def test_names_without_their_piece():
    assert whole_name("mlp 3/8") == "mlp"
    assert whole_name("mlp 13/128") == "mlp"
    assert whole_name("mlp 3/8 again") == "mlp 3/8 again"
    assert whole_name("mlp3/8") == "mlp3/8"


def test_units_and_links():
    steps = path(("a", UNIT, HERE, 1), ("b", LINK, HERE, 1)).steps
    assert [where_of(step) for step in steps] == ["matrix", "link"]


def test_pieces_on_one_unit_are_one_stretch():
    tasks = [("a 1/3", UNIT, HERE, 5), ("a 2/3", UNIT, HERE, 7), ("a 3/3", UNIT, HERE, 9)]
    assert joined(*tasks) == [("a", 3, 0, 21)]
    assert joined(("z", UNIT, HERE, 4), *tasks, ("b", UNIT, HERE, 1)) == [
        ("z", 1, 0, 4),
        ("a", 3, 4, 21),
        ("b", 1, 25, 1),
    ]


def test_what_is_no_piece_stands_alone():
    """Two tasks of one name are two tasks, also where the first was in pieces."""
    twice = ("a", UNIT, HERE, 5)
    assert joined(twice, twice) == [("a", 1, 0, 5), ("a", 1, 5, 5)]
    assert joined(("a 1/2", UNIT, HERE, 5), twice) == [("a", 1, 0, 5), ("a", 1, 5, 5)]
    assert joined(twice, ("a 2/2", UNIT, HERE, 3)) == [("a", 2, 0, 8)]


def test_pieces_of_another_task_unit_or_part_begin_anew():
    first = ("a 1/2", UNIT, HERE, 5)
    for second in (
        ("b 2/2", UNIT, HERE, 7),
        ("a 2/2", OTHER_UNIT, HERE, 7),
        ("a 2/2", LINK, HERE, 7),
        ("a 2/2", UNIT, THERE, 7),
    ):
        assert joined(first, second) == [("a", 1, 0, 5), (second[0][0], 1, 5, 7)]


def test_an_empty_path_has_nothing():
    assert joined() == []
    assert shares(path()) == []


def test_shares_are_by_name_and_kind_of_unit_what_takes_longest_first():
    found = shares(
        path(
            ("b", UNIT, HERE, 10),
            ("a 1/2", UNIT, HERE, 4),
            ("a 2/2", OTHER_UNIT, THERE, 6),
            ("a", LINK, HERE, 10),
            ("c", UNIT, HERE, 30),
            ("d", UNIT, HERE, 1),
        )
    )
    assert found == [
        PathShare("c", "matrix", 1, 30),
        PathShare("a", "link", 1, 10),
        PathShare("a", "matrix", 2, 10),
        PathShare("b", "matrix", 1, 10),
        PathShare("d", "matrix", 1, 1),
    ]
