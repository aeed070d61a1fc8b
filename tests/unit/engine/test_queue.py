"""Queues let in who should be next, whoever was put back and whoever gave up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies.queue import QUEUES
from rack_sim.workload.request import Request


def sequence(number, priority=0):
    return Sequence(Request(number, 0, 1, 1, priority=priority))


def drained(queue):
    order = []
    while queue:
        order.append(queue.take().request.request_id)
    return order


@given(st.lists(st.integers(-3, 3), max_size=20))
def test_first_come_first_served_looks_at_no_priority(priorities):
    queue = QUEUES["fcfs"]()
    for number, priority in enumerate(priorities):
        queue.add(sequence(number, priority))
    assert drained(queue) == list(range(len(priorities)))


@given(st.lists(st.integers(-3, 3), max_size=20))
def test_the_higher_priority_first_and_among_equals_the_earlier(priorities):
    queue = QUEUES["priority"]()
    for number, priority in enumerate(priorities):
        queue.add(sequence(number, priority))
    wanted = sorted(range(len(priorities)), key=lambda number: (-priorities[number], number))
    assert [s.request.request_id for s in queue.all()] == wanted
    assert drained(queue) == wanted


@pytest.mark.parametrize("order", ["fcfs", "priority"])
def test_who_ran_before_comes_before_its_equals(order):
    """The last to run is preempted first, so that those put back are in their order again."""
    queue = QUEUES[order]()
    waiting = [sequence(number) for number in range(4)]
    for each in waiting:
        queue.add(each)
    ran = [queue.take(), queue.take()]
    for each in reversed(ran):
        queue.put_back(each)
    queue.add(sequence(4))
    assert drained(queue) == [0, 1, 2, 3, 4]


def test_put_back_does_not_pass_a_higher_priority():
    queue = QUEUES["priority"]()
    low, other = sequence(0, 1), sequence(1, 1)
    queue.put_back(low)
    queue.add(other)
    queue.add(sequence(2, 5))
    queue.put_back(sequence(3, 1))
    assert drained(queue) == [2, 0, 3, 1]


@pytest.mark.parametrize("order", ["fcfs", "priority"])
@given(steps=st.lists(st.sampled_from(["add", "take", "put_back", "end"]), max_size=60))
def test_a_queue_is_a_sorted_list_without_those_that_ended(order, steps):
    """Against a list that is searched: equal priorities, so that both orders are the same."""
    queue, model, running = QUEUES[order](), [], []
    number = 0
    for place, step in enumerate(steps):
        if step == "add":
            model.append(sequence(number))
            queue.add(model[-1])
            number += 1
        elif step == "take" and model:
            assert queue.head is model[0]
            running.append(queue.take())
            assert running[-1] is model.pop(0)
        elif step == "put_back" and running:
            model.insert(0, running.pop())  # the last to run goes back first
            queue.put_back(model[0])
        elif step == "end" and model:
            model.pop(place % len(model)).ended = True
        assert bool(queue) == bool(model)
        assert queue.head is (model[0] if model else None)
        assert queue.all() == model
