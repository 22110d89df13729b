"""Arms: one file a way to obtain a model."""
