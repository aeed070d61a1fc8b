"""Batch members: who is in the batch of a replica, who waits, and whose the blocks of cache are.

Cache is given out in blocks. A prompt gets blocks for all of its tokens when it is let in; a
decoding sequence gets another whenever its last is full. When there is none, the sequence that was
let in last loses its cache and is prefilled again later, with what it had said so far.
"""

from collections import deque
from typing import TYPE_CHECKING

from rack_sim.compiler.batches import BatchTiming
from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.policies.replica import Replica
from rack_sim.engine.policies.windows import windows_of
from rack_sim.engine.timeline import CACHED, OUTPUT
from rack_sim.foundation.errors import ConservationError, DeadlockError
from rack_sim.workload.request import Request

if TYPE_CHECKING:
    from rack_sim.engine.policies.batch_policy import ContinuousBatchingPolicy
    from rack_sim.engine.policies.policy import ReplicaPlace


class BatchMembers(Replica):
    """Lets sequences in and out; when, is the business of `BatchServer`."""

    def __init__(
        self, place: "ReplicaPlace", timing: BatchTiming, policy: "ContinuousBatchingPolicy"
    ) -> None:
        super().__init__(place)
        self.timing = timing
        speculation = place.speculation
        # Rows of a decoding sequence in an iteration: its token, and what a draft proposes.
        self.width = 1 + (speculation.draft_tokens if speculation else 0)
        # How far layers look back, of the model and of a draft that is one.
        self.windows = windows_of(timing)
        self.max_sequences = policy.max_sequences
        self.block_tokens = timing.block_tokens
        # Room of the cache, in units of which a block takes some.
        self.unit_count = self.free_units = timing.unit_count
        self.watermark = int(policy.watermark_share * timing.unit_count)
        self.books.kv_tokens = timing.kv_tokens
        # Sequences let in, by request number, in the order in which they were.
        self.batch: dict[int, Sequence] = {}
        self.prefilling: deque[Sequence] = deque()
        self.decoding = 0
        # Tokens reserved for prompts and cached by decoding sequences.
        self.kv_tokens = 0
        self.parked_tokens = 0
        self.joining: list[Sequence] = []
        # Who decodes in this run for the first time, the token before it made elsewhere.
        self.late: list[Sequence] = []
        self.aborted: list[Sequence] = []
        self.held: dict[int, Sequence] = {}
        # Whether a request that comes now may be let in when the iteration has ended.
        self.open = True
        self.set_up()

    def refusal(self, request: Request) -> Outcome | None:
        tokens = request.input_tokens + request.output_tokens
        if tokens > self.timing.context_tokens:
            return Outcome.REJECTED_CONTEXT
        # The last token is never put into the cache.
        return Outcome.REJECTED_KV if self._units(tokens - 1) > self.unit_count else None

    def fits_now(self, sequence: Sequence) -> bool:
        return False  # a request waits at least for the iteration that runs

    def cache_bytes(self, tokens: int) -> int:
        return self.timing.kv_bytes(tokens) + self.timing.state_bytes_per_sequence

    def submit_prefilled(self, sequence: Sequence, now: int) -> None:
        sequence.replica = self.number
        self.enter(sequence.request)
        self.waiting.add(sequence)
        self._waits(sequence, now)

    def enqueue(self, sequence: Sequence, now: int) -> None:
        self.waiting.add(sequence)
        self._waits(sequence, now)

    def arrived(self, sequence: Sequence, now: int) -> None:
        if sequence.ended:
            self.aborted.append(sequence)
        else:
            self.joining.append(sequence)
        self.wake(now)

    def release(self, sequence: Sequence, now: int) -> None:
        del self.held[sequence.request.request_id]
        tokens = sequence.request.input_tokens
        self.free_units += self._units(tokens)
        self.park(now, -tokens)
        self.wake(now)

    def park(self, now: int, tokens: int) -> None:
        """So many more tokens of cache are held for another replica, or on their way here."""
        self.line.change_levels(now, 0, 0, tokens)
        self.parked_tokens += tokens
        self.books.parked_tokens_max = max(self.books.parked_tokens_max, self.parked_tokens)

    def abort(self, sequence: Sequence, now: int) -> None:
        if sequence.request.request_id not in self.batch:
            self.waiting_count -= 1
            self.change_levels(now, -1, 0, 0)
            if self._is_fetched(sequence):
                self.fleet.not_fetched(sequence, now)
        elif self._on_its_way(sequence) and sequence not in self.joining:
            if not self.fleet.called_off(sequence, now):
                return  # its cache is being fetched; it goes when that has come
            self.aborted.append(sequence)
        else:
            self.aborted.append(sequence)
        self.wake(now)

    def check_empty(self) -> None:
        stuck = [
            f"request {s.request.request_id} waits for admission at replica {self.number}"
            for s in self.waiting.all()
        ] + [f"request {number} is in the batch" for number in self.batch]
        if stuck:
            raise DeadlockError("the replay stopped, and " + "; ".join(stuck[:10]))
        balances = {
            "room of the cache": (self.free_units, self.unit_count),
            "cached tokens": (self.kv_tokens, 0),
            "decoding sequences": (self.decoding, 0),
            "context of nobody": (self.context_tokens(), 0),
            "windows of nobody": (sum(map(sum, self.attended_within())), 0),
            "handed on and kept": (len(self.held), 0),
        }
        wrong = [f"{name}: {a} against {b}" for name, (a, b) in balances.items() if a != b]
        if wrong:
            raise ConservationError("does not balance: " + "; ".join(wrong))

    # What an engine says.

    def set_up(self) -> None:
        """Makes what an engine keeps besides; called once, when the rest is there."""
        raise NotImplementedError

    def context_tokens(self) -> int:
        """Tokens that the first row of each decoding sequence attends to next, summed."""
        raise NotImplementedError

    def attended_within(self) -> list[list[int]]:
        """The same for each window, and for each row of a sequence."""
        raise NotImplementedError

    def growing_within(self, number: int) -> int:
        """Sequences whose window of this number is not full in the next iteration.

        None are with a draft, whose iterations are looked at one by one.
        """
        raise NotImplementedError

    def join(self, sequence: Sequence) -> None:
        """A sequence decodes from the next iteration on; `cached_tokens` of it are there."""
        raise NotImplementedError

    def part(self, sequence: Sequence) -> None:
        """A decoding sequence leaves: sets its `cached_tokens` and `emitted`."""
        raise NotImplementedError

    def wake(self, now: int) -> None:
        """Something has changed: the batch is looked at again as soon as an iteration ends."""
        raise NotImplementedError

    def _waits(self, sequence: Sequence, now: int) -> None:
        self.waiting_count += 1
        self.change_levels(now, 1, 0, 0)
        if self.open and self.waiting.head is sequence:
            self.wake(now)

    def _let_in(self, head: Sequence, wanted: int, budget: int) -> bool:
        """Whether the first of the queue fits beside what runs."""
        if budget <= 0:
            return False
        units = self._units(self._tokens_to_cache(head))
        spare = self.watermark if self.batch or self.held else 0
        return units <= self.free_units - wanted - spare

    def _tokens_to_cache(self, sequence: Sequence) -> int:
        """What must be cached before its next token: its prompt, and what it has said so far."""
        said = sequence.emitted - 1 if self._is_fetched(sequence) else sequence.emitted
        return sequence.request.input_tokens + said

    def _start(self, sequence: Sequence, now: int) -> None:
        self.waiting.take()
        self.waiting_count -= 1
        self.running += 1
        self.change_levels(now, -1, 1, 0)
        tokens = self._tokens_to_cache(sequence)
        self.free_units -= self._units(tokens)
        self.batch[sequence.request.request_id] = sequence
        sequence.cached_tokens = tokens
        if self._is_fetched(sequence):
            sequence.decode_wait_ps = now - sequence.first_token_ps
            sequence.prompt_left = 0
            self.park(now, tokens)
            self.fleet.admitted(sequence, now)
            return
        if sequence.admitted_ps < 0:
            sequence.admitted_ps = now
        self.kv_tokens += tokens
        hits = self.hit_tokens(sequence)
        found = hits - sequence.reached_tokens
        if found > 0:
            self.line.count(CACHED, now, found)
            self.books.cached_tokens += found
            sequence.hit_tokens += found
            sequence.reached_tokens = hits
        sequence.prompt_left = tokens - hits
        self.prefilling.append(sequence)

    def _prefilled(self, sequence: Sequence, now: int) -> None:
        """The last row of a prompt has passed: its next token is there."""
        self.prefilling.remove(sequence)
        if sequence.ended:
            return
        if self.prefixes:
            self.prefixes.add(sequence.request)
        if sequence.emitted:
            self.observer.gaps(now - sequence.last_token_ps, 0, 1, 1)
        else:
            sequence.prefill_end_ps = sequence.first_token_ps = now
        sequence.emitted += 1
        sequence.last_token_ps = now
        self.line.count(OUTPUT, now)
        if sequence.emitted == sequence.request.output_tokens:
            self._done(sequence, now)
        elif self.role == "prefill":
            self._hand_on(sequence, now)
        else:
            self._decode(sequence)

    def _decode(self, sequence: Sequence) -> None:
        self.decoding += 1
        self.join(sequence)

    def _hand_on(self, sequence: Sequence, now: int) -> None:
        """Another replica decodes; the cache stays until it was fetched."""
        self._take_out(sequence, now)
        self.held[sequence.request.request_id] = sequence
        self.park(now, sequence.cached_tokens)
        self.leave(sequence.request)
        self.books.end_ps = now
        self.fleet.prefilled(sequence, now)

    def _take_out(self, sequence: Sequence, now: int) -> None:
        """The sequence is no longer in the batch."""
        del self.batch[sequence.request.request_id]
        self.running -= 1
        self.change_levels(now, 0, -1, 0)
        self.kv_tokens -= sequence.cached_tokens

    def _done(self, sequence: Sequence, now: int) -> None:
        """A sequence has its last token."""
        if sequence.ended:
            return  # given up in this very iteration; it is dropped with the others
        if sequence.joined_clock >= 0:
            self.decoding -= 1
            self.part(sequence)
        self._take_out(sequence, now)
        self.free_units += self._units(sequence.cached_tokens)
        sequence.finish_ps = now
        self.finish(sequence, now)

    def _drop_aborted(self, now: int) -> None:
        """Gives back what sequences held that were given up."""
        for sequence in self.aborted:
            if sequence.joined_clock >= 0:
                self.decoding -= 1
                self.part(sequence)
            elif sequence in self.prefilling:
                self.prefilling.remove(sequence)
            elif sequence in self.joining:
                self.joining.remove(sequence)
                self._fetched_for_nothing(sequence, now)
            elif self._is_fetched(sequence):
                self._fetched_for_nothing(sequence, now)
            self._take_out(sequence, now)
            self.free_units += self._units(sequence.cached_tokens)
        self.aborted.clear()

    def _fetched_for_nothing(self, sequence: Sequence, now: int) -> None:
        """A cache that was counted as on its way is the batch's own, to be given back."""
        self.park(now, -sequence.cached_tokens)
        self.kv_tokens += sequence.cached_tokens

    def _preempt_youngest(self, now: int) -> None:
        """The sequence that was let in last loses its cache and waits again."""
        number = next(n for n in reversed(self.batch) if not self._on_its_way(self.batch[n]))
        sequence = self.batch[number]
        if sequence.joined_clock >= 0:
            self.decoding -= 1
            self.part(sequence)
            if sequence in self.late:
                self.late.remove(sequence)
            else:
                sequence.last_token_ps = now
        else:
            self.prefilling.remove(sequence)
        reached = min(sequence.cached_tokens - sequence.prompt_left, sequence.request.input_tokens)
        sequence.reached_tokens = max(sequence.reached_tokens, reached)
        self._take_out(sequence, now)
        self.free_units += self._units(sequence.cached_tokens)
        sequence.preemptions += 1
        self.books.preemptions += 1
        self.waiting.put_back(sequence)
        self.waiting_count += 1
        self.change_levels(now, 1, 0, 0)

    def accepted_steps(self, sequence: Sequence) -> tuple[int, ...]:
        """Tokens of each step that a sequence still has before it, with a draft."""
        steps = self.speculation.emitted(sequence.request).tolist() if self.speculation else []
        behind, said = 0, sequence.emitted - 1
        while said > 0:
            said -= steps[behind]
            behind += 1
        # A token made while it was prefilled again may stand in the middle of a step.
        rest = (-said,) if said < 0 else ()
        return (*rest, *steps[behind:])

    def accepted(self, sequence: Sequence, steps: tuple[int, ...]) -> None:
        """A sequence has had these steps with a draft: a token of each is the model's own."""
        kept = sum(steps) - len(steps)
        sequence.accepted_draft_tokens += kept
        self.books.accepted_draft_tokens += kept
        self.books.draft_tokens += (self.width - 1) * len(steps)

    def _is_fetched(self, sequence: Sequence) -> bool:
        """Whether its cache comes (or came) from another replica."""
        return self.role == "decode" and not sequence.preemptions

    def _on_its_way(self, sequence: Sequence) -> bool:
        return sequence.joined_clock < 0 and not sequence.prompt_left

    def _units(self, tokens: int) -> int:
        return self.timing.units(tokens)
