"""Shows how far a run is: bars on a terminal, a line per finished cell and now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tao_bench.runner import Listener

_QUIET_S = 30.0


def clock(seconds: float) -> str:
    """``h:mm:ss``."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


@contextmanager
def listener(console: Console, jobs: int) -> Iterator[Listener]:
    """A listener for `tao_bench.runner.execute`.

    Args:
        console: Where to write.
        jobs: Pieces of work in all.
    """
    if not console.is_terminal:
        yield _lines(console, jobs)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        whole = bars.add_task("all", total=1.0, note="")
        shown: dict[str, TaskID] = {}

        def listen(
            share: float, left_s: float, running: Sequence[tuple[str, float, str]], ended: Sequence[str]
        ) -> None:
            bars.update(whole, completed=share, note=f"{clock(left_s)} left")
            for key in set(shown) - {key for key, _, _ in running}:
                bars.remove_task(shown.pop(key))
            for key, done, words in running:
                if key not in shown:
                    shown[key] = bars.add_task(f"  {key}", total=1.0, note="")
                bars.update(shown[key], completed=done, note=words)

        yield listen


def _lines(console: Console, jobs: int) -> Listener:
    done, last = 0, time.monotonic()

    def listen(share: float, left_s: float, running: Sequence[tuple[str, float, str]], ended: Sequence[str]) -> None:
        nonlocal done, last
        now = time.monotonic()
        done += len(ended)
        if ended or now - last > _QUIET_S:
            last = now
            what = (
                f"ended {', '.join(ended)}"
                if ended
                else "; ".join(f"{key} {part:.0%} {words}" for key, part, words in running)
            )
            line = f"[{done}/{jobs}] {share:.0%}, {clock(left_s)} left: {what}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    return listen
