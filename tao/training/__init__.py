"""Stage 3, train: one file an objective, over TRL."""
