"""Stage 1, explore: strategies and samplers."""
