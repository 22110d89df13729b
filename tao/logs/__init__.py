"""Usage logs of any of the common kinds, read as prompts and nothing else."""
