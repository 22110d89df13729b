"""What reference@2 is pretrained on: right answers, no published company, rows that read as prompts."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tao.prompts import Message, Prompt
from tao_bench.models import reference_path
from tao_bench.reference import suite_world
from tao_bench.reference.extend import POSITIONS, alternation, extend, extended_pattern, grow
from tao_bench.reference.suite_rows import LENGTH_TOK, TASKS, Pieces, Row, add, batch, cut, rows
from tao_bench.reference.suite_world import SHARES, Document, cluster_of, document, held_back, published
from tao_bench.registry import load_task, task_folder
from tao_bench.task import read_spec
from tao_bench.verify.verdict import Status

EACH = {"tool_calls": 14, "ticket_triage": 10, "policy_qa": 10, "invoice_extract": 10, "enterprise_arena": 6}


@pytest.fixture(scope="module")
def drawn() -> list[Document]:
    rng = Random(7)
    found = [document(rng, task) for task, count in EACH.items() for _ in range(count)]
    return [one for one in found if one]


@pytest.fixture(scope="module")
def first_tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(reference_path("reference@1"))


@pytest.fixture(scope="module")
def tokenizer(first_tokenizer: Any, drawn: list[Document]) -> Any:
    return extend(first_tokenizer, drawn)


@pytest.mark.parametrize("task", SHARES)
def test_every_answer_passes_its_own_tasks_verifier(task: str, drawn: list[Document], tmp_path: Path) -> None:
    verifier = load_task(task).verifier()
    mine = [one for one in drawn if one.task == task]
    assert len(mine) > EACH[task] // 2
    try:
        for made in mine:
            for number, asked in enumerate(made.asked):
                path = tmp_path / f"{number}.json"
                path.write_text(json.dumps(asked.handle))
                prompt = Prompt("x", (Message("user", f"{made.text}\n{asked.question}"),), (), {"document": str(path)})
                assert verifier.grade(prompt, asked.gold, asked.answer, "stop").status is Status.CORRECT, asked
    finally:
        verifier.close()


def test_documents_are_of_no_published_cluster_and_have_nothing_held_back(drawn: list[Document]) -> None:
    for made in drawn:
        assert made.cluster not in published(made.task)
        for asked in made.asked:
            content = f"{made.text}\n{asked.question}"
            assert cluster_of(made.task, content) == made.cluster
            assert not held_back(made.task, content)


@pytest.mark.parametrize("task", SHARES)
def test_a_published_cluster_is_refused(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = next(one for one in (document(Random(seed), task) for seed in range(9)) if one)
    seed = next(seed for seed in range(9) if document(Random(seed), task) == made)
    monkeypatch.setattr(suite_world, "published", lambda _: frozenset({made.cluster}))
    assert document(Random(seed), task) is None


@pytest.mark.parametrize("task", SHARES)
def test_clusters_are_read_as_the_generator_names_them_and_some_wordings_stay_new(task: str) -> None:
    items = load_task(task).items("dev")
    known: dict[str, set[str]] = {}
    for item in items:
        known.setdefault(item.cluster, set()).add(cluster_of(task, item.prompt.messages[-1].content))
    assert all(len(names) == 1 for names in known.values())
    assert len(set.union(*known.values())) == len(known)
    share = sum(held_back(task, item.prompt.messages[-1].content) for item in items) / len(items)
    assert 0.1 < share < 0.8


def test_parts_of_the_unseen_level_do_not_occur(drawn: list[Document]) -> None:
    text = {
        task: "\n".join(f"{d.text}\n{a.question}" for d in drawn for a in d.asked if d.task == task) for task in SHARES
    }
    banks = suite_world.generator("policy_qa").words
    assert not [m.name for group in banks.HELD_OUT.values() for m in group if m.name in text["policy_qa"]]
    assert not [d.noun for d in suite_world.generator("tool_calls").words.HELD_OUT if d.noun in text["tool_calls"]]
    triage = suite_world.generator("ticket_triage").words
    assert not [said for bank in triage.BANKS.values() for said in bank[-2:] if said in text["ticket_triage"]]


def test_some_documents_speak_of_things_nobody_has_named(drawn: list[Document]) -> None:
    nouns = {domain.noun for domain in suite_world.generator("tool_calls").words.SEEN}
    tools = [one.text for one in drawn if one.task == "tool_calls"]
    novel = [text for text in tools if not any(noun in text for noun in nouns)]
    assert 0 < len(novel) < len(tools)


def test_added_entries_leave_text_whole_and_old_tokens_as_they_were(
    drawn: list[Document], tokenizer: Any, first_tokenizer: Any
) -> None:
    assert len(first_tokenizer) < len(tokenizer) <= len(first_tokenizer) + 2_048
    old = first_tokenizer.get_vocab()
    assert {token: number for token, number in tokenizer.get_vocab().items() if token in old} == old
    before = after = 0
    for made in drawn:
        for asked in made.asked:
            for text in (f"{made.text}\n{asked.question}", asked.answer):
                ids = tokenizer(text)["input_ids"]
                assert tokenizer.decode(ids) == text
                before, after = before + len(first_tokenizer(text)["input_ids"]), after + len(ids)
    assert after < 0.65 * before
    schema = "Schema:\nzorblat(mervin INT, quolt STRING)\nQuestion: how many zorblat have quolt 'vask'?"
    assert tokenizer(schema)["input_ids"] == first_tokenizer(schema)["input_ids"]


def test_what_an_answer_copies_is_the_same_tokens_in_the_prompt(drawn: list[Document], tokenizer: Any) -> None:
    for made in drawn:
        if made.task == "tool_calls":
            shared = "," + ",".join(map(str, tokenizer(made.text)["input_ids"])) + ","
            for call in (call for asked in made.asked for call in asked.gold):
                ids = tokenizer(f'"{call["name"]}"')["input_ids"][1:-1]
                assert "," + ",".join(map(str, ids)) + "," in shared, call


def test_the_longest_entry_is_taken_and_never_a_part_of_a_word() -> None:
    import re

    entries = ["raise the ", "raise the bar", ", so"]
    assert re.findall(alternation(entries), "raise the bar, so") == ["raise the bar", ", so"]
    found = re.findall(extended_pattern(entries), "praise the day, so raise the barrel")
    assert found == ["praise", " the ", "day", ", so", " ", "raise the ", "barrel"]


def test_new_rows_start_as_the_mean_of_what_they_replace(tokenizer: Any, first_tokenizer: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    old = AutoModelForCausalLM.from_pretrained(reference_path("reference@1"), dtype=torch.float32)
    before = old.get_input_embeddings().weight.detach().clone()
    grown = grow(old, tokenizer, first_tokenizer).get_input_embeddings().weight.detach()
    assert torch.equal(grown[: len(before)], before)
    number = len(before) + 5
    parts = first_tokenizer(tokenizer.decode([number]))["input_ids"]
    torch.testing.assert_close(grown[number], before[parts].mean(0))
    assert old.config.max_position_embeddings == POSITIONS


def test_rows_have_one_length_and_every_tasks_share(tokenizer: Any) -> None:
    made = list(islice(rows(tokenizer, "test"), 48))
    for row in made:
        lengths = {len(getattr(row, name)) for name in ("ids", "weights", "owners", "branches", "positions", "answers")}
        assert lengths == {LENGTH_TOK}
        assert max(row.positions) < 1024
    tokens = Counter(TASKS[task] for row in made for task in row.answers if task >= 0)
    assert set(tokens) == set(TASKS)
    assert sum(owner >= 0 for row in made for owner in row.owners) > 0.8 * LENGTH_TOK * len(made)
    again = list(islice(rows(tokenizer, "test"), 3))
    assert again == made[:3]
    assert next(rows(tokenizer, "another")) != made[0]


def test_a_task_whose_documents_fit_no_row_does_not_hold_up_the_others(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = Counter[str]()

    def counted(tokenizer: Any, made: Document) -> Pieces:
        drawn[made.task] += 1
        return cut(tokenizer, made)

    monkeypatch.setattr("tao_bench.reference.suite_rows.cut", counted)
    made = list(islice(rows(tokenizer, "test", length=380), 4))  # the shortest invoice has more tokens
    assert all(len(row.ids) == 380 for row in made)
    assert drawn["invoice_extract"] <= drawn.total() / 2


def test_a_question_in_a_row_is_read_as_its_prompt_alone(
    drawn: list[Document], tokenizer: Any, first_tokenizer: Any
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(reference_path("reference@1"), dtype=torch.float64)
    model = grow(model, tokenizer, first_tokenizer)
    rng, row = Random(0), Row()
    chosen = [next(one for one in drawn if one.task == task) for task in ("policy_qa", "ticket_triage")]
    for made in chosen:
        add(rng, row, cut(tokenizer, made), 2)
    one = batch([row.padded(0, 1024)])
    with torch.no_grad():
        seen = model(input_ids=one.ids, attention_mask=one.mask, position_ids=one.positions).logits[0]
    asked = [(made, asked) for made in chosen for asked in made.asked[:2]]
    answers = [at for at, task in enumerate(row.answers) if task >= 0]
    for made, question in asked:
        turns = [
            {"role": "user", "content": f"{made.text}\n{question.question}"},
            {"role": "assistant", "content": question.answer},
        ]
        text = tokenizer.apply_chat_template(turns, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            alone = model(input_ids=ids).logits[0]
        length = len(tokenizer(question.answer)["input_ids"]) + 1
        mine, answers = answers[:length], answers[length:]
        assert [row.ids[at] for at in mine] == ids[0, -length:].tolist()
        torch.testing.assert_close(seen[[at - 1 for at in mine]], alone[-length - 1 : -1], atol=1e-4, rtol=1e-4)
    assert not answers


def test_the_model_has_room_for_all_that_a_task_allows() -> None:
    for task in SHARES:
        limits = read_spec(task_folder(task)).limits
        assert limits.max_prompt_tok + limits.max_new_tok <= POSITIONS, task
