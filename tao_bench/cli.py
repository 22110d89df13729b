"""`tao-bench`: the instrument's command. Verbs import what they need when they run: help answers at once."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tao.errors import InputError
from tao_bench.options import build_parser


def set_data(given: Sequence[str], needed: Sequence[str]) -> None:
    """Point the variables that tasks read at the folders of `--data`.

    Args:
        given: ``VARIABLE=DIR``, or ``DIR`` where only one variable is needed.
        needed: Variables the tasks at hand need.

    Raises:
        InputError: A bare folder where none or several variables are needed, or no such folder.
    """
    for text in given:
        variable, separator, folder = text.partition("=")
        if not separator:
            variable, folder = (needed[0] if len(needed) == 1 else ""), text
        if not variable:
            what = f"which of {', '.join(needed)} is meant?" if needed else "no task of this experiment needs data"
            raise InputError(what, f"--data {text}", "write --data VARIABLE=DIR")
        if not Path(folder).is_dir():
            raise InputError("no such folder", f"--data {text}")
        os.environ[variable] = str(Path(folder).resolve())


def needed_data(names: Sequence[str], extra: Sequence[Path]) -> list[str]:
    """Variables that tasks need, by name and each once.

    Raises:
        InputError: Unknown task.
    """
    from tao_bench.lm_eval.borrowed import VARIABLE, is_borrowed
    from tao_bench.registry import task_folder
    from tao_bench.task import read_spec

    needs = [VARIABLE if is_borrowed(name) else read_spec(task_folder(name, extra)).needs for name in names]
    return [variable for variable in dict.fromkeys(needs) if variable]


def _tasks(options: argparse.Namespace) -> int:
    from tao_bench.find import named_folders, read_heading, task_dirs

    if options.action == "list":
        for name, folder in sorted(task_dirs(options.tasks).items()):
            task = read_heading(folder)
            needs = f"  [needs {task.needs}{' or the hub' if task.hub else ''}]" if task.needs else ""
            shown = name if "@" in name else f"{name}@{task.version}"
            print(f"{shown}  {task.description}{needs}")
            for variant, description in task.variants:
                print(f"  {task.name}:{variant}  {description}")
        return 0
    if not options.task:
        raise InputError("which task?", "tao-bench tasks show", "`tao-bench tasks list` names them all")
    from tao_bench.show import show_task

    names, extra = named_folders([options.task], options.tasks)
    set_data(options.data, needed_data(names, extra))
    return show_task(names[0], extra)


def _report(options: argparse.Namespace) -> int:
    from tao_bench.report import render, summary_text

    folder = Path(options.results)
    if not folder.is_dir():
        folder = Path("results") / options.results
    target = options.out or Path("reports") / folder.name
    paths = render(folder, target, full=options.full)
    print(summary_text(folder))
    print(f"report: {paths.html}")
    return 0


def _grade(options: argparse.Namespace) -> int:
    from tao_bench.grade import run_grade

    set_data(options.data, needed_data([options.task], options.tasks))
    return run_grade(
        options.task, options.answers, options.out, split=options.split, dialect=options.answers_dialect,
        policy=options.policy, extra=options.tasks,
    )  # fmt: skip


def _agreement(options: argparse.Namespace) -> int:
    from tao_bench.agreement_command import run_agreement
    from tao_bench.registry import task_folder
    from tao_bench.task import read_spec

    needs = read_spec(task_folder(options.task, options.tasks)).needs
    set_data(options.data, [needs] if needs else [])
    return run_agreement(options)


def _dispatch(options: argparse.Namespace) -> int:
    if options.verb == "run":
        from tao_bench.run_command import run_experiment

        return run_experiment(options)
    if options.verb == "report":
        return _report(options)
    if options.verb == "tasks":
        return _tasks(options)
    if options.verb == "gate":
        from tao_bench.gate import run_gate

        return run_gate(options)
    if options.verb == "promote":
        from tao_bench.promote import run_promote

        set_data(options.data, needed_data(options.task, options.tasks))
        return run_promote(options)
    if options.verb == "signals":
        from tao_bench.signals import run_signals

        return run_signals(options)
    if options.verb == "freeze":
        from tao_bench.freeze import run_freeze

        return run_freeze(
            options.model, options.version, options.task, options.results, options.tasks, regrade=options.regrade
        )
    if options.verb == "firewall":
        from tao_bench.firewall_command import run_firewall

        return run_firewall(options)
    if options.verb == "prove-firewall":
        from tao_bench.firewall_command import run_prove_firewall

        return run_prove_firewall(options)
    if options.verb == "new":
        from tao_bench.new import run_new

        return run_new(options.name, options.kind, options.dir)
    if options.verb == "check":
        from tao_bench.check import run_check
        from tao_bench.find import named_folders

        names, extra = named_folders(options.names, options.tasks)
        if options.data:
            set_data(options.data, needed_data(names, extra))
        return run_check(names, options.sample, extra, options.survivors)
    if options.verb == "make":
        from tao_bench.make import make

        print("\n".join(make(options.task, options.out, options.settings, options.seed, options.tasks)))
        return 0
    if options.verb == "bench":
        from tao_bench.bench import run_bench

        return run_bench(options.names)
    if options.verb == "grade":
        return _grade(options)
    if options.verb == "agreement":
        return _agreement(options)
    if options.verb == "trace":
        from tao_bench.trace import run_trace

        set_data(options.data, [])
        return run_trace(options)
    if options.verb == "duel":
        from tao_bench.duel import run_duel

        set_data(options.data, needed_data([options.task], options.tasks))
        return run_duel(options)
    if options.verb == "regrade":
        from tao_bench.regrade import run_regrade

        set_data(options.data, [])
        return run_regrade(options.names, options.results, options.reports, options.tasks)
    if options.verb == "port":
        from tao_bench.sql.port_command import run_port

        return run_port(options)
    return _export(options)


def _export(options: argparse.Namespace) -> int:
    if options.kind == "every-eval-ever":
        from tao_bench.every_eval_ever import run_export

        return run_export(options)
    from tao_bench.find import named_folders
    from tao_bench.registry import load_task

    names, extra = named_folders([options.task], options.tasks)
    set_data(options.data, needed_data(names, extra))
    task = load_task(names[0], extra)
    if options.evaluate:
        from tao_bench.lm_eval.evaluate import evaluate_lm_eval

        return evaluate_lm_eval(task, options.evaluate, options.split, limit=options.limit, out=options.verdicts)
    from tao_bench.lm_eval.folder import export_lm_eval

    out = options.out or Path("lm_eval_tasks") / names[0].replace(":", "_")
    return export_lm_eval(task, out, options.split, options.limit)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb.

    Args:
        argv: Arguments; the process's own if None.

    Returns:
        0, 1 (something failed and is named), 2 (bad input), 130 (interrupted).
    """
    options = build_parser().parse_args(argv)
    try:
        return _dispatch(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
