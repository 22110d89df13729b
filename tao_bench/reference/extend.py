"""reference@1's tokenizer with words and phrases of the enterprise suite added, each one token.

An added entry is a whole piece of the cut before BPE: a word, or a phrase of several (as SuperBPE's superwords, Liu et
al. 2025). Everything else is cut and merged as in reference@1, so what that model knows about tokens stays true. A
phrase never holds a digit, a line's end, a mark of the old world (``Question``), or a word that answers copy (names,
states, teams, parameters, goods): copying goes token for token.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from tao_bench.models import reference_path
from tao_bench.reference.suite_world import Document, document, generator
from tao_bench.reference.tokenizer import pattern
from tao_bench.suite import FIRST, LAST, MONTHS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

WORDS, PHRASES = 1_000, 1_048
"""Entries added to the 2,048 of reference@1."""
POSITIONS = 1_536
"""Room for the longest prompt and answer that a suite task allows; rotary positions need no new weights."""
LEAST = 5
"""Documents in which an added word must occur, of some 1,500: invented names stay below."""
DOCUMENTS = {
    "tool_calls": 400,
    "ticket_triage": 300,
    "policy_qa": 300,
    "invoice_extract": 300,
    "enterprise_arena": 200,
}


def lines_of(documents: Iterable[Document]) -> list[tuple[str, list[str]]]:
    """Of every document its lines and those of its questions, and apart from them the answers."""
    return [
        ("\n".join((one.text, *(asked.question for asked in one.asked))), [asked.answer for asked in one.asked])
        for one in documents
    ]


def whole_names() -> list[str]:
    """Names of several words that answers copy or questions repeat: each a phrase, and part of no other."""
    tools, goods = generator("tool_calls").words, generator("invoice_extract").words
    policy = generator("policy_qa").words
    found = [part for domain in tools.SEEN for part in (domain.noun, domain.amount, domain.day, *domain.states)]
    found += [*goods.GOODS, *goods.SERVICES, *goods.MAKES, *goods.RATES]
    found += [matter.name for group in policy.SEEN.values() for matter in group]
    return [name for name in dict.fromkeys(found) if " " in name and not re.search(r"\d", name)]


def kept_apart() -> frozenset[str]:
    """Words that answers copy: no phrase holds them."""
    tools, triage = generator("tool_calls").words, generator("ticket_triage")
    words = [*FIRST, *LAST, *MONTHS, *triage.TEAMS, *generator("invoice_extract").CURRENCIES]
    words += [state for domain in tools.SEEN for state in domain.states]
    words += [word for name in whole_names() for word in name.split()]
    words += [name for bank in tools.PARAMETERS.values() for name in bank]
    goods = generator("invoice_extract").words
    words += ["Question", "Schema", "Report", "Line", "Error", "Plan", "Answer"]  # the old world's own marks
    words += [*goods.TRADES, *goods.FORMS, *goods.GOODS, *goods.SERVICES]
    glue = set("of the in per a for that and on to from may be is".split())
    return frozenset(word for name in words for word in name.split() if word not in glue)


def phrases(texts: Sequence[str], cut: re.Pattern[str], count: int, names: Collection[str]) -> list[str]:
    """The most useful runs of pieces, by merging the commonest neighbours again and again.

    Args:
        texts: Prompts.
        cut: How text is cut into pieces before.
        count: Phrases wanted, `names` included.
        names: Phrases that are one piece from the start and join no other.
    """
    apart = kept_apart() | frozenset(names)
    lines = Counter(line for text in texts for line in text.split("\n"))
    piece = re.compile("|".join(sorted(map(re.escape, names), key=len, reverse=True)) + "|" + cut.pattern)
    runs: Counter[tuple[str, ...]] = Counter()
    seen = Counter(
        part for line, often in lines.items() for part in set(piece.findall(line)) for _ in range(min(often, 9))
    )
    for line, often in lines.items():
        run: list[str] = []
        for part in [*piece.findall(line), ""]:
            word = part.strip()
            joins = word and not word.isdigit() and not {word, part} & apart and seen[part] >= LEAST
            if joins or (part == " " and run):
                run.append(part)
            else:
                if len(run) > 1:
                    runs[tuple(run)] += often
                run = []
    return [*names, *_commonest_joins(runs, count - len(names))]


def _commonest_joins(runs: Mapping[tuple[str, ...], int], count: int) -> list[str]:
    """What joining the commonest neighbours makes, `count` times over, as byte-pair encoding does with letters."""
    parts, often = [list(run) for run in runs], list(runs.values())
    pairs: Counter[tuple[str, str]] = Counter()
    where: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for number, run in enumerate(parts):
        for pair in pairwise(run):
            pairs[pair] += often[number]
            where[pair].add(number)
    found: list[str] = []
    while pairs and len(found) < count:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        found.append(best[0] + best[1])
        for number in where.pop(best):
            before = parts[number]
            after = _merge(before, *best)
            for pair in pairwise(before):
                pairs[pair] -= often[number]
            for pair in pairwise(after):
                pairs[pair] += often[number]
                where[pair].add(number)
            parts[number] = after
        pairs = +pairs
    return found


def _merge(run: Sequence[str], first: str, second: str) -> list[str]:
    out: list[str] = []
    for part in run:
        if out and out[-1] == first and part == second:
            out[-1] = first + second
        else:
            out.append(part)
    return out


def alternation(entries: Iterable[str]) -> str:
    """A pattern for the longest of some texts, by a tree of their letters: a flat list is too slow."""
    tree: dict[str, Any] = {}
    for entry in entries:
        node = tree
        for letter in entry:
            node = node.setdefault(letter, {})
        node[""] = {}

    def write(node: dict[str, Any], before: str) -> str:
        branches = [re.escape(letter) + write(below, letter) for letter, below in sorted(node.items()) if letter]
        end = r"(?![A-Za-z_])" if before.isalpha() else ""
        if not branches:
            return end
        body = branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
        return f"(?:{body}|{end})" if "" in node else body

    return write(tree, "")


def extended_pattern(entries: Collection[str]) -> str:
    """The cut with phrases before all else; one that starts with a letter starts no sooner than a word does."""
    starts = [entry for entry in entries if entry[0].isalpha()]
    others = [entry for entry in entries if not entry[0].isalpha()]
    return rf"(?<![A-Za-z_]){alternation(starts)}|{alternation(others)}|{pattern()}"


def extend(old: PreTrainedTokenizerFast, documents: Sequence[Document]) -> PreTrainedTokenizerFast:
    """reference@1's tokenizer with `WORDS` words and `PHRASES` phrases of these documents added."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    rows = lines_of(documents)
    cut = re.compile(pattern())
    chosen = phrases([text for text, _ in rows], cut, PHRASES, whole_names())
    cut = re.compile(extended_pattern(chosen))
    occurs: Counter[str] = Counter()
    for text, answers in rows:
        occurs.update(set(cut.findall("\n".join((text, *answers)))))
    spelled = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    state = json.loads(old.backend_tokenizer.to_str())
    vocabulary = state["model"]["vocab"]
    words = [part for part, often in sorted(occurs.items(), key=lambda pair: (-pair[1], pair[0])) if often >= LEAST]
    words = [part for part in words if part not in chosen and len(part) > 1]
    added = [spelled.pre_tokenize_str(part)[0][0] for part in (*chosen, *words)]
    for entry in [entry for entry in dict.fromkeys(added) if entry not in vocabulary][: WORDS + PHRASES]:
        vocabulary[entry] = len(vocabulary)
    state["model"]["ignore_merges"] = True
    state["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"Regex": extended_pattern(chosen)}
    made = Tokenizer.from_str(json.dumps(state))
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=old.pad_token,
        eos_token=old.eos_token,
        chat_template=old.chat_template,
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def grow(old: Any, tokenizer: PreTrainedTokenizerFast, before: PreTrainedTokenizerFast) -> Any:
    """A model with rows for the added entries: each starts as the mean of the tokens it was cut into before."""
    import torch

    rows = old.get_input_embeddings().weight.detach().float()
    known = len(rows)
    new = [
        rows[before(tokenizer.decode([number]), add_special_tokens=False)["input_ids"]].mean(0)
        for number in range(known, len(tokenizer))
    ]
    old.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    old.config.max_position_embeddings = POSITIONS
    with torch.no_grad():
        old.get_input_embeddings().weight[known:] = torch.stack(new).to(old.dtype)
    return old


def main() -> None:
    """Command line: a folder with reference@1's weights under the extended tokenizer, to pretrain from."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model to pretrain from")
    parser.add_argument("--seed", default="tokenizer")
    args = parser.parse_args()
    rng = Random(f"reference@2:{args.seed}")
    made = [document(rng, task) for task, count in DOCUMENTS.items() for _ in range(count)]
    before = AutoTokenizer.from_pretrained(reference_path("reference@1"))
    tokenizer = extend(before, [one for one in made if one])
    model = grow(AutoModelForCausalLM.from_pretrained(reference_path("reference@1")), tokenizer, before)
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    print(f"{args.out}: {len(tokenizer)} tokens, {model.num_parameters():,} parameters")


if __name__ == "__main__":
    main()
