"""Precision: how many bits each kind of data has, and in which precision the matrix unit works."""

from dataclasses import dataclass

from rack_sim.hardware.chip import PRECISION_BITS

# What configs ask for: `mamba_ssm_dtype` of Qwen3.5 and `mamba_ssm_cache_dtype` of Nemotron-H say
# float32.
STATE_FORMAT = "fp32"


@dataclass(frozen=True, slots=True)
class Precision:
    """Number formats of a deployment; each is a key of `PRECISION_BITS`.

    Recurrent states are kept in `states`, the rows that a convolution keeps as activations are.
    """

    weights: str
    kv: str
    activations: str
    compute: str
    states: str = STATE_FORMAT

    def weight_bytes(self, parameters: int) -> int:
        """Bytes that `parameters` weights take, rounded up to whole bytes."""
        return bytes_of(parameters, self.weights)

    def kv_bytes(self, elements: int) -> int:
        """Bytes that `elements` cached keys and values take."""
        return bytes_of(elements, self.kv)

    def activation_bytes(self, elements: int) -> int:
        """Bytes that `elements` activations take."""
        return bytes_of(elements, self.activations)

    def state_bytes(self, recurrent: int, convolution: int) -> int:
        """Bytes that so many elements of recurrent and of convolution states take."""
        return bytes_of(recurrent, self.states) + self.activation_bytes(convolution)


def bytes_of(elements: int, precision: str) -> int:
    """Bytes of `elements` numbers, rounded up to whole bytes."""
    return -(-elements * PRECISION_BITS[precision] // 8)


def shard(total: int, parts: int, index: int) -> int:
    """Share `index` of `total` split over `parts`: shares differ by at most one and sum exactly."""
    return total * (index + 1) // parts - total * index // parts
