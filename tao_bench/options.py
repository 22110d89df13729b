"""The verbs of `tao-bench`, their options and help. Nothing heavy is imported: help answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLES = """\
examples:
  tao-bench run quickstart                 base, SFT and TAO head to head, with a scaling curve, in minutes
  tao-bench run scaling --dry-run          what would run, what it costs, what it could show; spends nothing
  tao-bench run my_experiment.yaml         your own grid of arms, tasks and seeds
  tao-bench report quickstart              render the report again from the stored rows
  tao-bench tasks list                     every task that can be found
  tao-bench new my_tickets --kind classify your own task in one folder; then: tao-bench check my_tickets
  tao-bench port spider_dev --data ~/sets  port published golds to Databricks SQL and prove each
  tao-bench firewall warehouse_sql         prove that tuning does not depend on labels
"""
RUN_HELP = """\
Runs an experiment's cells (arm x task x seed) in parallel processes and reports them. Stop it at any moment,
with Ctrl-C or harder: the same command goes on where it was and ends with the same bytes.

an experiment file:
  name: my_experiment
  model: reference                 # or a folder, or a hub id
  tasks: [warehouse_sql]
  seeds: [0, 1, 2]
  eval: {split: test}              # or dev; limit: 100 for the first 100 items
  arms:
    - arm: base                    # one greedy answer
    - arm: base_maj                # majority of 16 samples at inference
    - arm: sft
      labels: [50, 800]            # a grid: one cell a value and seed
    - arm: tao
      samples: [4, 16]             # samples per prompt and round
      rounds: 3
    - arm: endpoint                # a served model, as it is: tokens and price, no FLOPs
      url: https://api.openai.com/v1
      model: gpt-4o
      key_env: OPENAI_API_KEY      # the variable that holds the key, never the key
      usd_per_m_in: 2.5
      usd_per_m_out: 10
      instructions: Answer with one Databricks SQL query and nothing else.
"""
PORT_HELP = """\
Ports published text-to-SQL sets to the Databricks dialect and proves each gold: it runs on its source engine
(SQLite; PostgreSQL where you name a server), on the embedded emulator and, with --spark, on a real Spark, and all
give one result. What is doubtful about a gold itself is flagged apart: empty, unstable when rows are shuffled, a
LIMIT through a tie, dependent on the clock, failing on its own engine. Nothing of the sets is shipped; say where
they are. Stop it at any moment: the same command goes on where it was.

sets: spider_dev spider_realistic spider_train bird_dev bird_mini_dev kaggle_dbqa defog_postgres defog_sqlite
      geoquery restaurants academic scholar advising, or all; each in its folder under --data, as published
yours: --questions FILE (.json, .jsonl, .csv with db_id, question, query) --databases DIR (NAME.sqlite or NAME.sql)

it writes OUT/SET/instances/DB.json   tables with Databricks types
          OUT/SET/golds.jsonl         question, ported gold, database, status, flags
          OUT/SET/certificates.jsonl  status, reason, flags, rules, clock
          OUT/SET/dropped.jsonl       questions left out: no gold, missing or unreadable database
          the report                  rates by set, on the databases that rules were written on and on the others
"""

GRADE_HELP = """\
Judges stored answers with a task's verifier; no model is loaded. A row of the file:
  {"id": "test-0017", "answer": "SELECT COUNT(*) FROM depots"}
Other fields are kept. A query is taken out of prose and code fences (the last one that parses). Rows out carry
status (correct, wrong, unparsable, timeout, verifier_error), score, extracted and reason as well. Rows that
cannot be judged are counted and named with their line; the rest is judged, and the exit status is then 1.
"""


AGREEMENT_HELP = """\
Judges answers that people have judged and reports the agreement: accuracy, precision, recall, Cohen's kappa with an
interval over questions, apart for numeric and text golds, with and without refusals and disputed items, and the error
of each file's accuracy. A row of a file:
  {"id": "fb-0017", "answer": "About 12.3 %.", "label": "Correct Answer"}
label is Correct Answer, Incorrect Answer or Refusal (or correct, incorrect, true, false). With --verifier judge a
model judges instead; its key is read from OPENAI_API_KEY, its replies are kept, and the same figures come out.
"""

PROVE_HELP = """\
Runs every arm of an experiment that declares no labels, made small, on copies of each task's data that differ in their
labels alone: as they are, permuted, blanked and taken away; permuted and blanked labels carry canaries. It holds if
  samples, rewards, weights, answers and ledger are the same to the bit in all of them,
  no process opened a label, as told by Python's audit hooks and (on Linux) by the kernel,
  no canary stands in any file of a run, and
  the controls do change with their labels: SFT its weights, gold reward its verdicts (added where the file lacks them).
A model tuned on several tasks (tune_on) is proved on copies of all of them, whose labels change together; its control
is SFT on the same mixture, which must be seen to open the labels of every task. Python's hooks also hold in Python
children, such as those of `accelerate launch`.
Otherwise the exit status is 1 and every fault is named.

it cannot show
  that prompts, documents or databases hold no answers, or were not chosen by labels (tao-bench check looks for it);
  what the starting model already knew, or what people chose on dev;
  what happens only beyond these few prompts, samples and rounds;
  intent: code that knows it is watched, encodes what it reads or asks a network can pass;
  other than by the kernel, what children with an environment of their own open (workers of SQL engines, of vllm);
  anything about samplers that promise no equal bytes (vllm, endpoint): such arms are left out and named.
"""


LM_EVAL_HELP = """\
Writes a folder that EleutherAI's lm-eval runs as it is, with tao-bench installed beside it:
  lm_eval --model hf --model_args pretrained=MODEL --include_path DIR --tasks NAME --apply_chat_template
It holds the split's prompts, what they are about and the labels, which lm-eval itself never sees: the metric `correct`
is our verifier's verdict. The other way round, any lm-eval task is evaluated in an experiment as `lm_eval:NAME`.
"""

EVERY_HELP = """\
Writes one record an arm, task and seed in the schema of the every_eval_ever project (evalevalai.com), version 0.3.0:
OUT/data/TASK/DEVELOPER/MODEL/UUID.json with accuracy and its interval, UUID_samples.jsonl with one row an item. Running
the command again replaces its files. Questions and golds are written where the task's data is generated here; those of
external data are not ours to publish and stand as their hash, unless --full is given.
"""


def _folders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tasks", "--tasks-dir", type=Path, action="append", default=[], metavar="DIR",
        help="a further task folder, or a folder of them",
    )  # fmt: skip
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="published rows")


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb."""
    parser = argparse.ArgumentParser(
        prog="tao-bench",
        description="Judge label-free tuning (TAO) against the base model and supervised fine-tuning.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    run = verbs.add_parser(
        "run",
        help="run an experiment and report it",
        description=RUN_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tao-bench run quickstart --jobs 2",
    )
    run.add_argument("experiment", help="quickstart, scaling, geoquery, or the path of an experiment file")
    run.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (default runs)")
    run.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="where reports go")
    run.add_argument("--jobs", type=int, metavar="N", help="processes at a time (default: CPU cores)")
    run.add_argument("--seeds", type=int, nargs="+", metavar="SEED", help="these seeds instead of the file's")
    run.add_argument("--model", help="this model instead of the file's")
    run.add_argument("--data", action="append", default=[], metavar="[VARIABLE=]DIR", help="external data a task needs")
    run.add_argument("--limit", type=int, metavar="N", help="evaluate the first N items only (no result to publish)")
    run.add_argument(
        "--dry-run", action="store_true", help="print runs, FLOPs, time and detectable effect, run nothing"
    )
    run.add_argument("--restart", action="store_true", help="start over cells begun with other settings or code")
    _folders(run)

    report = verbs.add_parser(
        "report", help="render a report from stored rows", epilog="example: tao-bench report quickstart"
    )
    report.add_argument("results", help="an experiment's name under results/, or a folder of results")
    report.add_argument("--out", type=Path, metavar="DIR", help="where it goes (default reports/<name>)")
    report.add_argument(
        "--full", action="store_true", help="also show questions and golds of external data (local use)"
    )

    tasks = verbs.add_parser(
        "tasks", help="list tasks, or show one", epilog="example: tao-bench tasks show warehouse_sql"
    )
    tasks.add_argument("action", choices=["list", "show"])
    tasks.add_argument(
        "task", nargs="?", metavar="TASK|DIR", help="task to show, or a variant of it (financebench:single_store)"
    )
    tasks.add_argument("--data", action="append", default=[], metavar="[VARIABLE=]DIR", help="external data it needs")
    _folders(tasks)

    gate = verbs.add_parser(
        "gate",
        help="measure a model on dev before anything is tuned",
        description="Greedy accuracy, maj@16 and pass@16 on dev by task and level, the share of errors that a change "
        "of SQL dialect alone would mend, and the CPU time of an evaluation. Writes results/gate.md and gate.jsonl.",
        epilog="example: tao-bench gate --task warehouse_sql --task sec_filings",
    )
    promote = verbs.add_parser(
        "promote",
        help="may a newly tuned model take the place of the one in service? judged on dev",
        description="Both models answer the tasks' dev splits greedily; the new one is promoted (exit status 0) only "
        "if a fall by the margin is refused on every task: paired, over clusters of items, Holm over tasks. What the "
        "run's own promotion.json refuses without labels is not asked again. The command goes on where it was stopped.",
        epilog="example: tao-bench promote warehouse_sql --old runs/mine --new runs/next",
    )
    promote.add_argument("task", nargs="+", metavar="TASK")
    promote.add_argument(
        "--old", type=Path, required=True, metavar="DIR", help="model in service, or a run of tao tune"
    )
    promote.add_argument("--new", type=Path, required=True, metavar="DIR", help="the new one")
    promote.add_argument("--margin", type=float, default=0.02, metavar="M", help="a fall that counts as none (0.02)")
    promote.add_argument("--limit", type=int, metavar="N", help="only the first N items of each dev split")
    promote.add_argument("--save", type=Path, metavar="FILE.json", help="write the decision there")
    promote.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="where answers are kept")
    promote.add_argument("--data", action="append", default=[], metavar="[VARIABLE=]DIR", help="external data it needs")
    _folders(promote)
    freeze = verbs.add_parser(
        "freeze",
        help="write down the hashes of model, generators, splits and verifiers",
        description="Writes results/frozen.json; every later run is held against it. A published name never changes.",
        epilog="example: tao-bench freeze --task warehouse_sql --task sec_filings",
    )
    signals = verbs.add_parser(
        "signals",
        help="measure how well label-free signals tell right from wrong on dev",
        description="Samples a model on dev and holds every label-free signal against the verifier: AUC over all "
        "samples and within prompts, accuracy of the best sample, calibration. One page a task under reports/signals.",
        epilog="example: tao-bench signals --task warehouse_sql",
    )
    signals.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="where pages go")
    for verb in (gate, freeze, signals):
        verb.add_argument("--model", default="reference", help="reference (default), reference@2, a folder or a hub id")
        verb.add_argument("--task", action="append", default=[], metavar="TASK", help="default: all that can be found")
        _folders(verb)
    for verb in (gate, signals):
        verb.add_argument("--samples", type=int, default=16, help="samples per item (default 16)")
        verb.add_argument("--limit", type=int, metavar="N", help="the first N items of dev only")
        verb.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="where its samples are kept")
    freeze.add_argument("--version", type=int, default=1, help="the model's version (default 1; reference@2 has its)")
    freeze.add_argument("--regrade", action="store_true", help="accept a changed verifier; answers are judged anew")

    firewall = verbs.add_parser(
        "firewall",
        help="prove that tuning does not depend on labels",
        description="Tunes a small TAO cell with the labels as they are, permuted, blanked and taken away: samples, "
        "scores, weights and ledger must be the same to the bit, no label file may be opened and no canary come out. "
        "An SFT cell must change. Models tuned on several tasks are proved by prove-firewall.",
        epilog="example: tao-bench firewall warehouse_sql",
    )
    firewall.add_argument("task")
    firewall.add_argument("--model", default="reference", help="reference (default), reference@2, a folder or a hub id")
    proof = verbs.add_parser(
        "prove-firewall",
        help="prove it for every arm and task of an experiment",
        description=PROVE_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tao-bench prove-firewall trials_signals --out results/firewall.md",
    )
    proof.add_argument("experiment", help="a preset, or the path of an experiment file")
    proof.add_argument("--model", help="this model instead of the file's")
    proof.add_argument("--samples", type=int, default=4, help="samples a prompt and round, at most (default 4)")
    proof.add_argument("--rounds", type=int, default=2, help="rounds, at most (default 2)")
    proof.add_argument("--seed", type=int, default=0, help="of every cell (default 0)")
    proof.add_argument("--jobs", type=int, default=1, metavar="N", help="processes at a time (default 1)")
    proof.add_argument("--out", type=Path, metavar="FILE.md", help="write the page there as well")
    for verb in (firewall, proof):
        verb.add_argument("--prompts", type=int, default=16, help="prompts of the pool to tune on (default 16)")
        verb.add_argument(
            "--data", action="append", default=[], metavar="[VARIABLE=]DIR", help="external data it needs"
        )
        _folders(verb)

    made = verbs.add_parser(
        "make",
        help="make a task's data in another size or from other sources",
        description="Runs a task's generator with other settings and writes a task folder of its own, for --tasks.",
        epilog="example: tao-bench make sec_filings@2 --out filings_7200 --set n=7200",
    )
    made.add_argument("task")
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder; it names the task made")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="a setting")
    made.add_argument("--seed", type=int, metavar="SEED", help="instead of the task's own")
    _folders(made)

    new = verbs.add_parser(
        "new",
        help="write the folder of a task of your own",
        description="Writes NAME/ with task.yaml, example rows, fixtures, README, an experiment and a test. It is "
        "green under `tao-bench check` as it is; put your rows in and check again. Nothing is overwritten.",
        epilog="example: tao-bench new my_tickets --kind classify",
    )
    new.add_argument("name", help="small letters, digits, underscores")
    new.add_argument(
        "--kind", required=True, choices=["qa", "sql", "extract", "classify", "tools", "judge"],
        help="short answers, queries, JSON records, labels, API calls, free text graded by rules",
    )  # fmt: skip
    new.add_argument("--dir", type=Path, default=Path(), metavar="DIR", help="where the folder goes (default: here)")

    check = verbs.add_parser(
        "check",
        help="prove a task before it may be used",
        description="Proves that a task's golds pass and other answers fail, that no label leaks and no split "
        "overlaps, and says how each fault is mended. A task is named, or its folder.",
        epilog="example: tao-bench check my_tickets",
    )
    check.add_argument("names", nargs="*", metavar="TASK|DIR", help="default: all that can be found")
    check.add_argument("--sample", type=int, metavar="N", help="judge at most N items of each split")
    check.add_argument("--survivors", type=Path, metavar="FILE", help="write mutants its data cannot tell apart")
    check.add_argument("--data", action="append", default=[], metavar="[VARIABLE=]DIR", help="external data it needs")
    _folders(check)

    grade = verbs.add_parser(
        "grade",
        help="judge stored answers, whoever wrote them",
        description=GRADE_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tao-bench grade geoquery answers.jsonl -o verdicts.jsonl --data DIR --answers-dialect sqlite",
    )
    grade.add_argument("task")
    grade.add_argument("answers", type=Path, metavar="ANSWERS.jsonl")
    grade.add_argument("-o", "--out", type=Path, metavar="OUT.jsonl", help="one row per judged answer")
    grade.add_argument("--split", choices=["pool", "train", "dev", "test"], help="items of this split only")
    grade.add_argument("--policy", default="", metavar="NAME", help="rule of comparison (default: the task's own)")
    grade.add_argument("--answers-dialect", default="", metavar="NAME", help="port SQL answers from this dialect first")
    grade.add_argument("--data", action="append", default=[], metavar="[VARIABLE=]DIR", help="external data it needs")
    _folders(grade)

    agreement = verbs.add_parser(
        "agreement",
        help="measure how well a verifier agrees with people",
        description=AGREEMENT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tao-bench agreement financebench results/*.jsonl -o agreement.md --disagreements read.jsonl",
    )
    agreement.add_argument("task")
    agreement.add_argument("labelled", type=Path, nargs="+", metavar="LABELLED.jsonl")
    agreement.add_argument("-o", "--out", type=Path, metavar="REPORT.md", help="the report as a file")
    agreement.add_argument("--disagreements", type=Path, metavar="OUT.jsonl", help="the answers to read")
    agreement.add_argument("--verifier", default="", metavar="NAME", help="this verifier instead of the task's own")
    agreement.add_argument("--endpoint", default="", metavar="URL", help="of --verifier judge (OpenAI-compatible)")
    agreement.add_argument("--model", default="", help="of --verifier judge")
    agreement.add_argument("--cache", type=Path, metavar="DIR", help="where a judge's replies are kept")
    agreement.add_argument("--parallel", type=int, default=8, metavar="N", help="a judge's requests at a time (8)")
    agreement.add_argument(
        "--data", action="append", default=[], metavar="[VARIABLE=]DIR", help="external data it needs"
    )
    _folders(agreement)

    trace = verbs.add_parser(
        "trace",
        help="follow tuned models round by round: signal, truth and drift",
        description="Every round's checkpoint of an experiment's label-free cells answers dev (never test): accuracy "
        "and pass@n are laid beside the label-free signal of the same model, its KL from the start and the alarms it "
        "set off. Writes results/trace/EXPERIMENT.jsonl and reports/trace/EXPERIMENT. Stop it at any moment: the same "
        "command goes on where it was.",
        epilog="example: tao-bench trace overoptimisation",
    )
    trace.add_argument("experiment", help="its run must still be under --out, checkpoints and all (not for --draw)")
    trace.add_argument("--items", type=int, default=300, metavar="N", help="dev items answered greedily (300)")
    trace.add_argument("--sampled", type=int, default=100, metavar="N", help="the first of them also sampled (100)")
    trace.add_argument("--samples", type=int, default=16, metavar="N", help="samples an item; 0 for none (16)")
    trace.add_argument(
        "--cells", action="append", default=[], metavar="TEXT", help="only cells whose id contains this; repeatable"
    )
    trace.add_argument(
        "--draw", action="store_true", help="measure nothing: draw the page again from what --results holds"
    )
    trace.add_argument("--model", metavar="DIR", help="the model its cells started from, if it was a folder")
    trace.add_argument("--jobs", type=int, metavar="N", help="processes at a time (default: CPU cores)")
    trace.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept")
    trace.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="where reports go")
    trace.add_argument("--data", action="append", default=[], metavar="VARIABLE=DIR", help="external data tasks need")
    _folders(trace)
    duel = verbs.add_parser(
        "duel",
        help="let a judge compare two files of answers pair by pair",
        description="Asks a model behind an OpenAI-compatible endpoint which of two answers to a request is better, "
        "in both orders; only two equal sayings make a winner. Replies are kept, so a second run asks nothing.",
        epilog="example: tao-bench duel enterprise_arena a.jsonl b.jsonl --endpoint http://localhost:8000/v1 --model M",
    )
    duel.add_argument("task")
    duel.add_argument("a", metavar="A.jsonl", help="answers: id and answer, as for grade")
    duel.add_argument("b", metavar="B.jsonl", help="other answers, or the word reference: the task's own")
    duel.add_argument("--endpoint", default="", metavar="URL", help="of the judge; its key is read from OPENAI_API_KEY")
    duel.add_argument("--model", default="", metavar="NAME", help="the judge")
    duel.add_argument("--split", default="test", choices=["train", "dev", "test"], help="default: test")
    duel.add_argument("-o", "--out", type=Path, metavar="OUT.jsonl", help="one row a pair")
    duel.add_argument("--data", action="append", default=[], metavar="[VARIABLE=]DIR", help="external data it needs")
    _folders(duel)

    regrade = verbs.add_parser(
        "regrade",
        help="judge published answers anew after a verifier changed",
        description="Judges every answer under results/ with the present verifiers, says which verdicts changed, "
        "and renders the reports again. `tao-bench freeze --regrade` belongs to the same commit.",
        epilog="example: tao-bench regrade scaling",
    )
    regrade.add_argument("names", nargs="*", metavar="EXPERIMENT", help="default: all under results/")
    regrade.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="where reports go")
    regrade.add_argument("--data", action="append", default=[], metavar="VARIABLE=DIR", help="external data it needs")
    _folders(regrade)

    bench = verbs.add_parser(
        "bench",
        help="measure speed against bare libraries, as ratios in one run",
        description="Start-up, and tests/benchmarks/*_speed.py of the checkout, each in a process of its own.",
        epilog="example: tao-bench bench startup sampling_speed",
    )
    bench.add_argument("names", nargs="*", metavar="NAME", help="startup, or a *_speed script; default: all")

    port = verbs.add_parser(
        "port",
        help="port published text-to-SQL sets to Databricks SQL, with a certificate a gold",
        description=PORT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tao-bench port spider_dev bird_dev --data ~/sets --spark",
    )
    port.add_argument("sets", nargs="*", metavar="SET", help="sets by name, or all; a name for --questions")
    port.add_argument("--data", type=Path, default=Path(), metavar="DIR", help="the folder that holds the sets")
    port.add_argument("--questions", type=Path, metavar="FILE", help="a question file of your own")
    port.add_argument("--databases", type=Path, metavar="DIR", help="its SQLite files or PostgreSQL scripts")
    port.add_argument("--read", choices=["sqlite", "postgres", "mysql"], default="sqlite", help="its dialect")
    port.add_argument("--out", type=Path, default=Path("ported"), metavar="DIR", help="default: ported")
    port.add_argument("--report", type=Path, metavar="FILE", help="the table of rates (default OUT/port.md)")
    port.add_argument("--spark", action="store_true", help="also hold every gold against a local Spark")
    port.add_argument("--spark-python", metavar="EXE", help="the interpreter that has pyspark (default: this one)")
    port.add_argument("--postgres", type=Path, metavar="FILE", help="a server for PostgreSQL golds, as JSON: module")
    port.add_argument(
        "--clock", default="2025-06-18T12:00:00", metavar="TIME", help="what now means (UTC; a Wednesday)"
    )
    port.add_argument("--database", action="append", default=[], metavar="NAME", help="these databases only")
    port.add_argument("--limit", type=int, metavar="N", help="the first N golds of each database only")

    _export(verbs.add_parser(
        "export",
        help="write a task for lm-evaluation-harness, or results in the every_eval_ever schema",
        epilog="example: tao-bench export lm-eval warehouse_sql --out lm_eval_tasks/warehouse_sql",
    ))  # fmt: skip
    return parser


def _export(export: argparse.ArgumentParser) -> None:
    kinds = export.add_subparsers(dest="kind", metavar="KIND", required=True)
    lm_eval = kinds.add_parser(
        "lm-eval",
        help="a task as a folder that stock lm_eval runs",
        description=LM_EVAL_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tao-bench export lm-eval warehouse_sql --evaluate reference --limit 50",
    )
    lm_eval.add_argument("task", metavar="TASK|DIR", help="a task, a variant (financebench:oracle), or a task's folder")
    lm_eval.add_argument("--out", type=Path, metavar="DIR", help="the folder to write (default lm_eval_tasks/TASK)")
    lm_eval.add_argument("--split", choices=["train", "dev", "test"], default="test")
    lm_eval.add_argument("--limit", type=int, metavar="N", help="the first N items only")
    lm_eval.add_argument(
        "--evaluate", default="", metavar="MODEL", help="write nothing: run it here (reference, or a folder)"
    )
    lm_eval.add_argument(
        "--verdicts", default="", metavar="FILE", help="with --evaluate: JSONL file, one verdict a line"
    )
    lm_eval.add_argument("--data", action="append", default=[], metavar="[VARIABLE=]DIR", help="external data it needs")
    _folders(lm_eval)
    every = kinds.add_parser(
        "every-eval-ever",
        help="an experiment's results in the every_eval_ever schema",
        description=EVERY_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tao-bench export every-eval-ever quickstart --out every_eval_ever",
    )
    every.add_argument("experiment", help="an experiment's name under results/, or a folder of results")
    every.add_argument(
        "--out", type=Path, default=Path("every_eval_ever"), metavar="DIR", help="default: every_eval_ever"
    )
    every.add_argument("--organisation", default="TAO-Bench user", metavar="NAME", help="who ran the evaluation")
    every.add_argument(
        "--full", action="store_true", help="also questions and golds of external data (local use, not to publish)"
    )
    every.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="published rows")
