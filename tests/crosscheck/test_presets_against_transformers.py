"""Parameters of every model that ships, against the module that `transformers` makes of its keys.

Without the library (`pip install "rack-sim[crosscheck]"`) these tests skip.
"""

from typing import Any

import pytest
import yaml

from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.shapeless_keys import OWN_KEYS
from rack_sim.scenario.library import presets

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

# What the library calls otherwise, or builds only with encoders beside it.
ALIASES = {"kimi_k2": "deepseek_v3"}


@pytest.mark.parametrize("name", presets("model"))
def test_a_preset_has_the_parameters_of_the_library(name: str) -> None:
    config: dict[str, Any] = yaml.safe_load(presets("model")[name].read_text(encoding="utf-8"))
    ours = architecture_from_config(name, config)
    given = config.get("text_config", config)
    keys = {key: value for key, value in given.items() if key not in OWN_KEYS}
    family = keys.pop("model_type")
    made = transformers.AutoConfig.for_model(ALIASES.get(family, family), **keys)
    with torch.device("meta"):
        module = transformers.AutoModelForCausalLM.from_config(made)
    corrections = [one for key, one in module.named_buffers() if "correction" in key]
    assert ours.parameter_count == sum(one.numel() for one in [*module.parameters(), *corrections])
