"""Model: a transformer's shape, its exact parameter counts, and its operators.

- `layers`, `state_layers`, `architecture`: shapes of attention, of states and of feed-forwards, and
  the decoder made of them
- `compressed_attention`, `compressor`, `indexer`, `reach`, `selection`: attention to entries of the
  cache that are chosen, or stand for several tokens
- `streams`, `alternating`, `per_layer_inputs`: several residual streams; inputs of layers
- `encoders`: pictures and sound, which are not served; `prediction`: modules that draft
- `huggingface`, `families`, `config_keys`: the shape from a Hugging Face config.json as it is
- `likeness`: which family unknown keys look like; `contradictions`: keys that do not go together
- `operators`: what a block and an operator are, with rows as a variable
- `blocks`, `attention_blocks`, `compressed_blocks`, `state_blocks`, `expert_blocks`,
  `indexer_operators`, `stream_operators`, `textbook`: the blocks of an architecture
- `choice`: which experts rows touch
- `rope`, `shapeless_keys`: what positions reach; keys that change no shape
- `checkpoint`, `quantisation`, `quantisation_keys`, `quantisation_methods`, `module_names`: how a
  file holds its weights
- `number_format`, `stored_formats`, `tensors`, `weight_formats`, `weight_table`: formats of weights
- `facts`: what is said of a model alone
"""
