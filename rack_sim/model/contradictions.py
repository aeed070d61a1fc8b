"""Contradictions: keys of a config that are right by themselves but not together."""

from rack_sim.foundation.units import counted
from rack_sim.model.config_keys import ConfigKeys

# Lists with an item for each layer, whether a family reads them or not.
_BY_LAYER = (
    "attn_type_list",
    "hybrid_layer_pattern",
    "layer_types",
    "mlp_layer_types",
    "no_rope_layers",
)


def note_contradictions(keys: ConfigKeys, layer_count: int) -> None:
    """Notes lists that have not an item for each layer, and experts that make no even groups."""
    noted = {problem.field for problem in keys.problems}
    for key in _BY_LAYER:
        given = keys.config.get(key)
        if not isinstance(given, list) or len(given) in (0, layer_count):
            continue
        if key in keys.may_go_on and len(given) > layer_count:
            continue
        if keys.field(key) not in noted and "num_hidden_layers" not in keys.stood_in:
            keys.refuse(key, f"has {len(given)} items for {layer_count} layers")
    _note_groups(keys)


def _note_groups(keys: ConfigKeys) -> None:
    """Experts in groups, of which a row chooses some first, as in DeepSeek-V3."""
    names = ("n_routed_experts", "n_group", "topk_group", "num_experts_per_tok")
    given = {name: keys.config.get(name) for name in names}
    if given["n_group"] is None or not keys.are_counts("n_routed_experts", "n_group"):
        return
    experts, groups = keys.count("n_routed_experts"), keys.count("n_group")
    if experts % groups:
        keys.refuse("n_group", f"{experts} experts make no {groups} groups of as many each")
        return
    if given["topk_group"] is None or not keys.are_counts("topk_group", "num_experts_per_tok"):
        return
    chosen, per_row = keys.count("topk_group"), keys.count("num_experts_per_tok")
    if chosen > groups:
        keys.refuse("topk_group", f"{chosen} of {groups} groups cannot be chosen")
    elif per_row > chosen * (experts // groups):
        message = (
            f"{counted(chosen, 'group')} of {experts // groups} experts: {per_row} cannot be chosen"
        )
        keys.refuse("topk_group", message)
