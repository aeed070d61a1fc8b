"""Model: a transformer's shape, its exact parameter counts, and its operators.

- `architecture`: the shape of a dense decoder and its parameter counts
- `huggingface`: the shape from a Hugging Face config.json as it is
- `operators`: blocks and operators, with rows as a variable
"""
