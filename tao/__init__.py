"""TAO: tune a language model on prompts alone (explore, score, train, continue).

The package knows nothing of benchmarks and has no type that could hold a label.
Importing it loads no heavy library; torch, transformers and trl are imported inside
the functions that need them.
"""

__version__ = "0.1.0"
