"""Model: a transformer's shape, its exact parameter counts, and its operators.

- `layers`, `architecture`: shapes of attention and feed-forward, and the decoder made of them
- `huggingface`, `families`, `config_keys`: the shape from a Hugging Face config.json as it is
- `operators`: what a block and an operator are, with rows as a variable
- `blocks`, `attention_blocks`, `expert_blocks`, `textbook`: the blocks of an architecture
- `choice`: which experts rows touch
- `rope`, `shapeless_keys`: what positions reach; keys that change no shape
"""
