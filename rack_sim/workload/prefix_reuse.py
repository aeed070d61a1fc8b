"""Prefix reuse: how much of a stream's prompts was in a prompt before."""

from rack_sim.workload.request import Request


class PrefixReuse:
    """Counts prompt tokens that a prefix cache without a limit would find.

    A block is found where the same name and all before it in the prompt were seen in an earlier
    request, whether that was served by then or not. Every name seen is kept in memory.

    The size of a block is not in a trace; it is worked out from lengths: n blocks of b tokens hold
    more than (n - 1) b and at most n b. Where several sizes are left it is the largest power of two
    among them, else the smallest of them.
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._found_blocks = self._whole_prompt_tokens = self._input_tokens = 0
        self._least, self._most = 1, 10**18
        self._named = False

    def add(self, request: Request) -> None:
        """Counts a request; one without block hashes counts as nothing found."""
        input_tokens, names = request.input_tokens, request.block_hashes
        self._input_tokens += input_tokens
        if not names:
            return
        self._named = True
        count = len(names)
        self._least = max(self._least, -(-input_tokens // count))
        if count > 1:
            self._most = min(self._most, (input_tokens - 1) // (count - 1))
        seen = self._seen
        for place, name in enumerate(names):
            if name not in seen:
                self._found_blocks += place
                break
        else:
            self._whole_prompt_tokens += input_tokens
        seen.update(names)

    @property
    def block_tokens(self) -> int | None:
        """Tokens of a block; None where nothing has hashes or no size fits all prompts."""
        if not self._named or self._least > self._most:
            return None
        power = 1 << (self._most.bit_length() - 1)
        return power if self._least <= power < 10**17 else self._least

    @property
    def share(self) -> float | None:
        """Tokens found over all prompt tokens; None where no size of block fits."""
        size = self.block_tokens
        if size is None:
            return None
        return (self._found_blocks * size + self._whole_prompt_tokens) / self._input_tokens
