"""Stage 2, score without labels: one file a signal."""
