"""The README's section "Add a task", followed to the letter: its commands are run, its files are written, no Python."""

from __future__ import annotations

import csv
import os
import random
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 60
SAYS = {
    "billing": (
        "the invoice of {when} is too high",
        "we were charged twice in {when}",
        "the refund of {when} is missing",
    ),
    "delivery": (
        "the parcel sent in {when} never came",
        "the box of {when} arrived open",
        "the courier came in {when}, not now",
    ),
    "technical": ("the app fails since {when}", "sign-in is broken since {when}", "the export of {when} is empty"),
    "sales": (
        "we want {n} more seats from {when}",
        "what do {n} licences cost in {when}?",
        "can we try the large plan in {when}?",
    ),
}
MONTHS = ("January", "March", "April", "June", "July", "October", "November")
OPENINGS = ("Hello,", "Good morning,", "To whom it may concern,", "Hi there,", "Once more:", "Urgent:", "Dear team,")
ENDINGS = ("Please reply today.", "Thank you.", "This is the second time.", "Call me back.", "", "Regards from Porto.")


def write_tickets(path: Path, rows: int = 300, seed: int = 0) -> None:
    """Generated support tickets of 60 customers, no two alike."""
    rng = random.Random(seed)
    seen: set[str] = set()
    with path.open("w", newline="", encoding="utf-8") as handle:
        table = csv.writer(handle)
        table.writerow(["ticket", "customer", "text", "team"])
        while len(seen) < rows:
            team = rng.choice(sorted(SAYS))
            body = rng.choice(SAYS[team]).format(when=rng.choice(MONTHS), n=rng.randrange(2, 90))
            serial = f"{rng.choice('ABCDEFGH')}{rng.randrange(1000, 9999)}"
            text = f"{rng.choice(OPENINGS)} {body}. Our reference is {serial}. {rng.choice(ENDINGS)}".strip()
            if text not in seen:
                seen.add(text)
                table.writerow([f"t{len(seen):03}", f"customer {rng.randrange(60)}", text, team])


def blocks(section: str) -> list[tuple[str, str]]:
    """(language, text) of every fenced block, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)


def test_the_readme_s_steps_lead_to_a_head_to_head_table(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Add a task\n")[2].partition("\n## ")[0]
    write_tickets(tmp_path / "tickets.csv")
    names = re.findall(r"`(ticket_routing/[\w.]+)`", section)
    targets = dict(zip(("yaml", "json"), dict.fromkeys(names), strict=True))
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TAO_BENCH_CACHE": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }
    environment.pop("TAO_BENCH_TASKS", None)
    written, output = 0, ""
    for language, text in blocks(section):
        if language != "sh":
            (tmp_path / targets[language]).write_text(text, encoding="utf-8")
            written += len(text.splitlines())
            continue
        for line in text.splitlines():
            command = line.partition("#")[0].strip()
            written += 1
            words = command.split()
            if words[0] == "tao-bench":
                words = [sys.executable, "-m", "tao_bench.cli", *words[1:]]
            done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            output += done.stdout
    assert written <= MOST_LINES
    assert "Question: which team handles it: billing" in output  # `tasks show`: as the model sees it
    report = (tmp_path / "reports" / "ticket_routing-first20" / "report.md").read_text(encoding="utf-8")
    assert "ticket_routing@1" in report and "| base |" in report and "base maj@4" in report


def test_the_lines_to_write_need_no_python() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Add a task\n")[2].partition("\n## ")[0]
    assert {language for language, _ in blocks(section)} == {"sh", "yaml", "json"}
