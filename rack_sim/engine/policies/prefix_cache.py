"""Prefix cache: blocks of prompts whose keys and values are kept for the next prompt alike.

A store of its own beside the cache of running sequences (host memory, say): what is found there is
copied into the sequence's own room, and the copy costs no time. Blocks are named by hashes that
stand for everything up to and including the block, so a prompt's hit is its longest prefix of
names in the store. The least recently used block goes first.
"""

from dataclasses import dataclass

from rack_sim.foundation.errors import InputError
from rack_sim.workload.request import Request


@dataclass(frozen=True, slots=True)
class PrefixCaching:
    """A store of `capacity_blocks` blocks of `block_tokens` tokens on every replica."""

    block_tokens: int
    capacity_blocks: int


class PrefixCache:
    """The store of one replica."""

    def __init__(self, caching: PrefixCaching) -> None:
        self.block_tokens = caching.block_tokens
        self.capacity_blocks = caching.capacity_blocks
        # Names in the order of their last use.
        self._blocks: dict[int, None] = {}

    def hit_blocks(self, request: Request) -> int:
        """How many of a prompt's first blocks are there; nothing is touched."""
        blocks = self._blocks
        for number, name in enumerate(request.block_hashes):
            if name not in blocks:
                return number
        return len(request.block_hashes)

    def hit_tokens(self, request: Request) -> int:
        """Tokens of the prompt that need not be prefilled, and the use of their blocks noted.

        At least one token is left: something has to pass the model to make the next.
        """
        hits = self.hit_blocks(request)
        self._use(request.block_hashes[:hits])
        return min(hits * self.block_tokens, request.input_tokens - 1)

    def add(self, request: Request) -> None:
        """A prompt was prefilled: its blocks are there from now on, oldest dropped for room."""
        self._use(request.block_hashes[: self.capacity_blocks])
        blocks = self._blocks
        while len(blocks) > self.capacity_blocks:
            del blocks[next(iter(blocks))]

    def _use(self, names: tuple[int, ...]) -> None:
        """Notes the use of the first blocks of a prompt.

        Later blocks are of no use without the earlier, so these count as used later.
        """
        blocks = self._blocks
        for name in reversed(names):
            blocks.pop(name, None)
            blocks[name] = None


def check_hashes(request: Request, block_tokens: int) -> None:
    """Raises InputError where a request's hashes are missing or do not cover its prompt."""
    expected = -(-request.input_tokens // block_tokens)
    if len(request.block_hashes) != expected:
        count = len(request.block_hashes)
        what = f"{count} block hash{'es' if count > 1 else ''}" if count else "none"
        raise InputError(
            f"prefix caching needs a hash for every block of {block_tokens} tokens: request "
            f"{request.request_id} of {request.input_tokens} tokens has {what}, not {expected} "
            "(serving.prefix_cache.block_tokens: 512 for Mooncake traces, 16 for Qwen's)"
        )
