"""What needs no gold about answers: canonical numbers, arithmetic expressions over cited cells."""
