"""What is said of a plan whose model chooses at run time, or has parts that are not served."""

from dataclasses import replace

import pytest
from machines import SMALL_CHIP, SMALL_LINK

from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.model.encoders import Encoder
from rack_sim.model.indexer import Indexer
from rack_sim.model.layers import DenseFeedForward, LatentAttention, Layer
from rack_sim.model.reach import Reach
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.partition.provisions import provisions
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

FP16 = Precision("fp16", "fp16", "fp16", "fp16")
PLAIN = Architecture.dense("plain", 2, 256, 8, 4, 32, 512, 1000, False, 4096)
ATTENTION = LatentAttention(
    8, 64, 32, 16, 16, 16, indexer=Indexer(4, 32, 16, 100, 64), reach=Reach(chosen_max=100)
)
SPARSE = replace(PLAIN, layers=(Layer(ATTENTION, DenseFeedForward(512)),) * 2)


def planned(model: Architecture, degree: int, execution: str = "static") -> Plan:
    chip = replace(SMALL_CHIP, execution=execution)  # type: ignore[arg-type]
    box = fully_connected(name="box", chips=8, local=SMALL_LINK, port_count=8)
    plan = partition(
        Deployment(
            model=model,
            system=System("box", chip, box, 0.0),
            shape=StepShape(1, 1000, FP16),
            concurrent_sequences=2,
            tensor_parallel=degree,
            stage_count=1,
            objective="fewest_chips",
        )
    )
    assert isinstance(plan, Plan)
    return plan


def test_most_models_need_no_words() -> None:
    assert provisions(planned(PLAIN, 4)) == ()


@pytest.mark.parametrize(("degree", "times"), [(1, "1.0"), (4, "4.0"), (8, "8.0")])
def test_a_fixed_program_says_what_any_choice_costs(degree: int, times: str) -> None:
    """Of 1,000 tokens 100 are chosen: they may all lie on one of the chips."""
    (said,) = provisions(planned(SPARSE, degree))
    assert said.startswith("Sparse attention: in 2 layers a row attends to at most 100 chosen")
    assert f"{times} times its even share of attention at 1,000 tokens" in said


def test_iterations_say_in_which_direction_they_err() -> None:
    (said,) = provisions(planned(SPARSE, 4, "reactive"))
    assert "too much where contexts are shorter" in said


def test_encoders_are_not_served() -> None:
    """Two bytes a parameter here; of one whose shape is not known that it is there."""
    seeing = replace(PLAIN, encoders=(Encoder("pictures", 3_000_000), Encoder("sound", None)))
    pictures, sound = provisions(planned(seeing, 4))
    assert "pictures (3,000,000 parameters, 6.00 MB as wide as activations)" in pictures
    assert "sound (whose shape is not known here) is not served" in sound
