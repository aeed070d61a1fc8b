"""A preempted sequence with a draft goes on where it was: steps by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies.batch_members import BatchMembers
from rack_sim.workload.request import Request


@pytest.mark.parametrize(
    ("emitted", "rest"),
    [
        (1, (3, 1, 2, 2)),
        (2, (2, 1, 2, 2)),
        (3, (1, 1, 2, 2)),
        (4, (1, 2, 2)),
        (5, (2, 2)),
        (6, (1, 2)),
        (7, (2,)),
        (8, (1,)),
    ],
)
def test_the_steps_that_are_left(emitted, rest):
    """The first token is the prompt's, then steps of 3, 1, 2 and 2 tokens; one may be cut."""
    drawn = SimpleNamespace(emitted=lambda request: np.array([3, 1, 2, 2]))
    sequence = Sequence(Request(0, 0, 1, 9), emitted=emitted)
    assert BatchMembers.accepted_steps(SimpleNamespace(speculation=drawn), sequence) == rest


def test_what_is_kept_of_drafts_is_all_but_the_model_s_own_tokens():
    """Three steps of 3, 1 and 2 tokens with drafts of two: three were kept of six."""
    members = SimpleNamespace(
        width=3, books=SimpleNamespace(accepted_draft_tokens=10, draft_tokens=20)
    )
    sequence = Sequence(Request(0, 0, 1, 9), accepted_draft_tokens=1)
    BatchMembers.accepted(members, sequence, (3, 1, 2))
    assert sequence.accepted_draft_tokens == 1 + 3
    assert (members.books.accepted_draft_tokens, members.books.draft_tokens) == (13, 26)
    BatchMembers.accepted(members, sequence, ())
    assert (members.books.accepted_draft_tokens, members.books.draft_tokens) == (13, 26)
