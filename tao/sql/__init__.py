"""What needs no gold about SQL: dialect, strict gate, engine, sandbox, canonical result."""
