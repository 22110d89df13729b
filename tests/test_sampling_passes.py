"""Two passes: examples, failures and adaptive n come from a first reading; killed anywhere, the same bytes come out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao.compute import Ledger, ModelShape, plan_tao
from tao.errors import InputError
from tao.meaning import Outcome, Reading
from tao.prompts import Message, Prompt, Sample
from tao.recipe import Recipe
from tao.sampling.adaptive import Adaptive, allocate, apportion, uncertainty
from tao.sampling.forecast import forecast
from tao.sampling.mock_sampler import MockSampler
from tao.sampling.passes import explore_round
from tao.sampling.protocol import Request, Settings
from tao.sampling.samples import read_samples

LIMITS = Settings(max_prompt_tok=60, max_new_tok=16, chunk_prompts=3)
SHAPE = ModelShape(layers=2, hidden=24, heads=4, kv_heads=2, head_dim=6, ffn=40, vocab=64)
TABLES = ("fee (fee INT)", "stall (name STRING)")
ASKED = ("sure", "torn", "dead", "close", "torn", "sure")
"""All agree; half of the answers fail; nothing works; two answers stand against each other."""


def pool() -> list[Prompt]:
    """Two contexts, three questions each."""
    made = []
    for i, asked in enumerate(ASKED):
        tables = TABLES if i < 3 else TABLES[::-1]
        content = "Schema:\n" + "\n".join(tables) + f"\nQuestion: is {asked} number {i} fine?"
        made.append(Prompt(f"q{i}", (Message("user", content),), tables))
    return made


class Words:
    """Reads one digit as its meaning; anything else fails with a complaint."""

    name, version = "words", "1"

    def __init__(self) -> None:
        self.read_prompts = 0

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        self.read_prompts += 1
        return [Reading(Outcome.OK, a) if a.isdigit() else Reading(Outcome.FAILED, None, f"no {a}") for a in answers]

    def close(self) -> None:
        pass


def says(request: Request, index: int, chunk_id: str) -> str:
    """A mock model that mends what it is shown to be broken."""
    asked = request.messages[-1].content
    if asked.startswith("Error: "):
        return "7"
    if asked.startswith("Ask the following"):
        return "is it fine?" if index else "are number 9 and 8 fine?"
    kind = next((word for word in ("sure", "torn", "dead", "close") if f"is {word}" in asked), "sure")
    return {"sure": "1", "torn": "1" if index % 2 else "broken", "dead": "broken", "close": str(1 + index % 2)}[kind]


Say = Callable[[Request, int, str], str]


def run(
    out: Path, recipe: Recipe, say: Say = says, interpreter: Words | None = None, limits: Settings = LIMITS
) -> Path:
    return explore_round(
        pool(),
        MockSampler(say, shape=SHAPE),
        recipe.exploring(),
        limits,
        interpreter or Words(),
        seed=3,
        round=0,
        out=out / "samples.jsonl",
        ledger=Ledger(out / "ledger.jsonl"),
    )


def by_strategy(groups: dict[str, list[Sample]]) -> dict[str, dict[str, int]]:
    return {i: dict(Counter(sample.strategy for sample in group)) for i, group in groups.items()}


TWO = Recipe(samples=8, mix={"direct": 2, "few_shot": 1, "repair": 1})
ADAPTIVE = Recipe(samples=8, mix={"direct": 1, "repair": 1}, adaptive={"held": 0.5})


def test_what_does_not_apply_leaves_its_samples_to_the_rest(tmp_path: Path) -> None:
    groups = read_samples(run(tmp_path, TWO))
    assert [sample.index for sample in groups["q1"]] == list(range(8))
    assert by_strategy(groups) == {
        "q0": {"direct": 5, "few_shot": 3},  # nothing to repair; q1 is the example
        "q1": {"direct": 4, "few_shot": 2, "repair": 2},
        "q2": {"direct": 4, "few_shot": 2, "repair": 2},
        "q3": {"direct": 5, "few_shot": 3},
        "q4": {"direct": 4, "few_shot": 2, "repair": 2},
        "q5": {"direct": 5, "few_shot": 3},
    }
    assert {s.answer for s in groups["q2"] if s.strategy == "repair"} == {"7"}


def test_examples_are_sure_answers_to_other_questions_about_the_same_context(tmp_path: Path) -> None:
    shown: dict[str, list[str]] = {}

    def listen(request: Request, index: int, chunk_id: str) -> str:
        if "few_shot" in request.key:
            shown[request.key[:2]] = [message.content for message in request.messages]
        return says(request, index, chunk_id)

    run(tmp_path, TWO, listen)
    head = "Schema:\n" + "\n".join(TABLES) + "\nQuestion: "
    assert shown["q2"] == [
        head + "is torn number 1 fine?",
        "1",
        "Question: is sure number 0 fine?",  # the surest stands last, next to the question
        "1",
        "Question: is dead number 2 fine?",
    ]
    assert all("dead" not in " ".join(texts[:-1]) for texts in shown.values())


def test_without_an_example_about_the_same_context_the_nearest_prompt_is_shown_whole(tmp_path: Path) -> None:
    shown: dict[str, list[str]] = {}

    def only_one_is_sure(request: Request, index: int, chunk_id: str) -> str:
        if "few_shot" in request.key:
            shown[request.key[:2]] = [message.content for message in request.messages]
        return "1" if "sure number 5" in request.messages[-1].content else "broken"

    run(tmp_path, TWO, only_one_is_sure)
    assert set(shown) == {"q0", "q1", "q2", "q3", "q4"}  # none for the only winner itself
    assert shown["q0"] == [pool()[5].messages[-1].content, "1", pool()[0].messages[-1].content]
    # Too long for the limit, the example is done without, not the run.
    tight = Settings(max_prompt_tok=19, max_new_tok=16, chunk_prompts=3)
    groups = read_samples(run(tmp_path / "tight", TWO, only_one_is_sure, limits=tight))
    assert not any(sample.strategy == "few_shot" for group in groups.values() for sample in group)
    assert {len(group) for group in groups.values()} == {8}
    with pytest.raises(InputError, match=r"q0 \[direct 0\]: the prompt has"):
        run(tmp_path / "never", TWO, only_one_is_sure, limits=Settings(max_prompt_tok=10, max_new_tok=16))


def test_adaptive_n_spends_where_answers_disagree_and_never_more(tmp_path: Path) -> None:
    groups = read_samples(run(tmp_path, ADAPTIVE))
    sizes = {prompt_id: len(group) for prompt_id, group in groups.items()}
    assert sizes["q0"] == sizes["q5"] == sizes["q2"] == 4  # all agree, or nothing works
    assert {sizes["q1"], sizes["q3"], sizes["q4"]} == {12}
    assert sum(sizes.values()) == 48
    assert by_strategy(groups)["q1"] == {"direct": 6, "repair": 6}
    assert by_strategy(groups)["q3"] == {"direct": 12}
    few = ADAPTIVE.model_copy(update={"adaptive": ADAPTIVE.adaptive.model_copy(update={"most": 0.25})})  # type: ignore[union-attr]
    sizes = {i: len(group) for i, group in read_samples(run(tmp_path / "few", few)).items()}
    assert [sizes[f"q{i}"] for i in range(6)] == [4, 6, 4, 6, 6, 4]


def test_the_passes_draw_independently(tmp_path: Path) -> None:
    """The second pass asks the very same requests here; equal draws would only repeat the first pass's answers."""

    def torn(request: Request, index: int, chunk_id: str) -> str:
        return str(1 + index % 2)

    run(tmp_path, Recipe(samples=8, mix={"direct": 1}, adaptive={"held": 0.5, "most": 0.5}), torn)
    chunks = [[json.loads(x) for x in (tmp_path / f"{part}.chunks.jsonl").open()] for part in ("first", "second")]
    assert [c["samples"] for c in chunks[0]] == [c["samples"] for c in chunks[1]] == [12, 12]
    assert not {c["id"] for c in chunks[0]} & {c["id"] for c in chunks[1]}


def test_the_ledger_is_charged_by_pass_and_in_full(tmp_path: Path) -> None:
    samples = [sample for group in read_samples(run(tmp_path, TWO)).values() for sample in group]
    entries = Ledger(tmp_path / "ledger.jsonl").entries()
    assert [(e.stage, e.round, e.note) for e in entries] == [
        ("explore", 0, "first.jsonl"),
        ("explore", 0, "second.jsonl"),
    ]
    assert sum(e.completion_tok for e in entries) == sum(sample.completion_tok for sample in samples)
    assert all(0 < e.model_flop <= e.device_flop for e in entries)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def never(request: Request, index: int, chunk_id: str) -> str:
        raise AssertionError("generated again")

    reader = Words()
    run(tmp_path, TWO, never, reader)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before and reader.read_prompts == 0


class Killed(Exception):
    """Stands for kill -9 where a process of its own would be slow."""


class Mortal(Words):
    """Dies at the n-th prompt."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def read(self, prompt: Prompt, answers: Sequence[str]) -> list[Reading]:
        self.left -= 1
        if self.left < 0:
            raise Killed
        return super().read(prompt, answers)


REWORDED = Recipe(samples=9, mix={"direct": 1, "reword": 1, "repair": 1}, adaptive={"held": 0.4})


@pytest.mark.parametrize("recipe", [TWO, ADAPTIVE, REWORDED], ids=["two", "adaptive", "reworded"])
def test_killed_anywhere_it_ends_with_the_same_bytes(tmp_path: Path, recipe: Recipe) -> None:
    run(tmp_path / "whole", recipe)
    whole = {p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir()}
    for after in (0, 3, 17, 25, 34, 42):
        asked = 0

        def mortal(request: Request, index: int, chunk_id: str, after: int = after) -> str:
            nonlocal asked
            asked += 1
            if asked > after:
                raise Killed
            return says(request, index, chunk_id)

        out = tmp_path / f"killed {after}"
        with pytest.raises(Killed):
            run(out, recipe, mortal)
        asked = 0
        with suppress(Killed):  # what the first attempt finished need not be asked again
            run(out, recipe, mortal)
        if not (out / "readings.done").exists():
            with pytest.raises(Killed):
                run(out, recipe, says, Mortal(2))
            with (out / "readings.jsonl").open("a") as torn:
                torn.write('{"prompt_id": "q')
        run(out, recipe)
        assert {p.name: p.read_bytes() for p in out.iterdir() if p.name != "lost.jsonl"} == whole
    joined = tmp_path / "killed 0" / "samples.jsonl"
    joined.with_suffix(".done").unlink()
    joined.write_bytes(joined.read_bytes()[:-40])
    run(joined.parent, recipe)
    assert joined.read_bytes() == whole["samples.jsonl"]


def test_rewordings_are_asked_once_charged_and_only_sound_ones_are_used(tmp_path: Path) -> None:
    def reword(request: Request, index: int, chunk_id: str) -> str:
        asked = request.messages[-1].content
        if asked.startswith("Ask the following"):
            number = next(c for c in asked if c.isdigit())
            return f"can {number} be called fine?" if index else "can it be called fine?"
        return "1"

    recipe = Recipe(samples=4, mix={"direct": 1, "reword": 1})
    groups = read_samples(run(tmp_path, recipe, reword))
    assert by_strategy(groups) == {f"q{i}": {"direct": 2, "reword": 2} for i in range(6)}
    assert [e.note for e in Ledger(tmp_path / "ledger.jsonl").entries()] == ["rewordings.jsonl", "first.jsonl"]
    # Where none is sound, its samples go to the others.
    groups = read_samples(run(tmp_path / "none", recipe))
    assert by_strategy(groups) == {f"q{i}": {"direct": 4} for i in range(6)}


def test_a_ladder_samples_every_rung_at_its_own_temperature(tmp_path: Path) -> None:
    recipe = Recipe(samples=6, mix={"direct": 2, "plan": 1}, ladder=(0.5, 1.5))
    assert recipe.counts() == {"direct@0.5": 2, "direct@1.5": 2, "plan@0.5": 1, "plan@1.5": 1}
    seen: dict[str, float] = {}

    class Thermometer(MockSampler):
        def run(self, plan):  # type: ignore[no-untyped-def]
            seen.update({request.key[4:-3]: plan.settings.temperature for request in plan.requests})
            return super().run(plan)

    out = tmp_path / "samples.jsonl"
    explore_round(pool(), Thermometer(says, shape=SHAPE), recipe.exploring(), LIMITS, Words(), seed=0, round=0, out=out)
    assert seen == {"direct@0.5": 0.5, "direct@1.5": 1.5, "plan@0.5": 0.5, "plan@1.5": 1.5}
    assert by_strategy(read_samples(out))["q0"] == recipe.counts()


KEYS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=2, max_size=12)


@given(KEYS)
def test_uncertainty_is_0_where_all_are_alike_and_1_where_none_are(keys: list[str | None]) -> None:
    value = uncertainty(keys)
    assert 0 <= value <= 1
    assert (value == 0) == (len(set(keys)) == 1)
    assert (value == 1) == (len(set(keys)) == len(keys))
    assert value == uncertainty(keys[::-1])


@given(
    st.dictionaries(st.text("abcd", min_size=1), st.floats(0, 1), max_size=9),
    st.integers(0, 60),
    st.floats(0.1, 3),
    st.integers(2, 9),
)
def test_no_more_is_given_than_was_held_back(uncertain: dict[str, float], spare: int, most: float, n: int) -> None:
    given_out = allocate(uncertain, spare, Adaptive(floor=0.1, ceiling=0.9, most=most), n)
    assert sum(given_out.values()) <= spare
    assert all(0 < count <= max(1, int(most * n)) for count in given_out.values())
    assert all(0.1 < uncertain[name] <= 0.9 for name in given_out)
    worth = [name for name, value in uncertain.items() if 0.1 < value <= 0.9]
    if spare <= len(worth) and worth:
        assert sum(given_out.values()) == spare


@given(st.integers(0, 50), st.dictionaries(st.text(min_size=1), st.floats(0.01, 9), min_size=1, max_size=6))
def test_shares_become_whole_numbers_that_add_up(total: int, shares: dict[str, float]) -> None:
    counts = apportion(total, shares)
    assert sum(counts.values()) == total
    assert all(abs(counts[name] - total * share / sum(shares.values())) < 1 + 1e-9 for name, share in shares.items())


def test_records_of_recipes_from_before_keep_their_bytes() -> None:
    record = Recipe(mix={"direct": 1, "reorder": 1}).record()
    assert not {"wording", "ladder", "adaptive", "reworder"} & set(record)
    assert json.loads(json.dumps(record)) == record
    again = Recipe(**Recipe(adaptive={"held": 0.25}, ladder=(0.5, 1.0), samples=6).model_dump())
    assert again.adaptive is not None and again.adaptive.held == 0.25 and again.ladder == (0.5, 1.0)


def test_the_forecast_of_direct_sampling_is_the_closed_form() -> None:
    one = forecast(SHAPE, Recipe(samples=8).exploring(), 40, 10)
    plan = plan_tao(SHAPE, prompts=1, prompt_tok=40, completion_tok=10, samples=8, rounds=1)
    assert (one.model_flop, one.views, one.prompt_tok, one.completion_tok) == (plan.explore, 1, 40, 80)


@pytest.mark.parametrize("recipe", [TWO, ADAPTIVE, REWORDED], ids=["two", "adaptive", "reworded"])
def test_the_forecast_is_above_what_a_run_is_charged_and_not_far_above(tmp_path: Path, recipe: Recipe) -> None:
    """With the true mean lengths as its guesses; the mock's rewordings are shorter than assumed."""
    samples = [sample for group in read_samples(run(tmp_path, recipe)).values() for sample in group]
    answer = sum(sample.completion_tok for sample in samples) / len(samples)
    spent = sum(e.model_flop for e in Ledger(tmp_path / "ledger.jsonl").entries())
    planned = len(ASKED) * forecast(SHAPE, recipe.exploring(), 14, answer).model_flop
    assert len(samples) <= recipe.samples * len(ASKED)
    assert spent <= planned <= 6 * spent
