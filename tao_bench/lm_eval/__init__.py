"""lm-eval both ways: tasks of ours inside it (`config`, `folder`, `evaluate`), its tasks inside a run (`borrowed`)."""
