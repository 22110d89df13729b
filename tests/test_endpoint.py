"""The client and sampler of OpenAI-compatible servers, over real HTTP against a fake server that misbehaves."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import FakeClock, FakeEndpoint, Raw, completion, fault
from hypothesis import given
from hypothesis import strategies as st

from tao.compute import Ledger
from tao.endpoint import ChatClient, EndpointError, EndpointSpec, Reply
from tao.errors import InputError
from tao.prompts import Message, Prompt
from tao.sampling.endpoint_sampler import EndpointSampler, share_out
from tao.sampling.explore import explore
from tao.sampling.protocol import Settings
from tao.sampling.samples import read_samples

pytest.importorskip("aiohttp", reason="needs the endpoint extra")
LIMITS = Settings(max_prompt_tok=60, max_new_tok=16, chunk_prompts=4)


def spec(server: FakeEndpoint, **more: Any) -> EndpointSpec:
    return EndpointSpec(url=server.url, model="m", **more)


def pool(count: int = 10) -> list[Prompt]:
    return [Prompt(f"q{i}", (Message("user", f"question {i}"),)) for i in range(count)]


def ask(server: FakeEndpoint, clock: FakeClock | None = None, n: int = 1, **more: Any) -> Reply:
    async def once() -> Reply:
        async with ChatClient(spec(server, **more), clock or FakeClock()) as client:
            return await client.complete(
                [Message("user", "hi you")], temperature=0.5, max_tok=9, seed=3, n=n, where="q"
            )

    return asyncio.run(once())


def first(count: int, bad: Callable[[], Raw]) -> Callable[[dict[str, Any], int], Raw]:
    """The first requests go wrong, the others are fine."""
    return lambda body, before: bad() if before < count else completion(body)


def test_a_request_says_what_is_wanted_and_the_reply_is_read() -> None:
    with FakeEndpoint() as server:
        reply = ask(server, body={"top_k": -1, "max_tokens": None, "max_completion_tokens": 7})
    (body,) = server.asked
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi you"}],
        "temperature": 0.5,
        "top_p": 1.0,
        "seed": 3,
        "top_k": -1,
        "max_completion_tokens": 7,
    }
    assert [(choice.text, choice.finish_reason) for choice in reply.choices] == [("hi you / 3 / 0", "stop")]
    assert (reply.prompt_tok, reply.completion_tok, reply.model, reply.retries) == (2, 7, "m-2026", 0)


@pytest.mark.parametrize(
    ("reason", "content", "text", "read"),
    [
        ("length", "SELECT", "SELECT", "length"),
        ("content_filter", None, "", "content_filter"),
        ("eos", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab", "stop"),
        (None, "x", "x", "stop"),
    ],
)
def test_endings_and_contents_are_mapped(reason: str | None, content: Any, text: str, read: str) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": reason}
    with FakeEndpoint(lambda body, before: completion(body, choices=[choice])) as server:
        (got,) = ask(server).choices
    assert (got.text, got.finish_reason) == (text, read)


def test_a_prompt_stopped_by_a_filter_is_a_refused_sample_not_an_error() -> None:
    with FakeEndpoint(lambda body, before: fault(400, code="content_filter")) as server:
        assert [choice.finish_reason for choice in ask(server, n=3).choices] == ["content_filter"] * 3


def bad_json() -> Raw:
    return Raw(body='{"choices": [')


def no_choices() -> Raw:
    return Raw(body='{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}')


@pytest.mark.parametrize(
    "bad",
    [bad_json, no_choices, lambda: Raw(body="[]"), lambda: fault(500), lambda: fault(503), lambda: Raw(502, "<html>"),
     lambda: fault(429), lambda: Raw(cut=True)],
)  # fmt: skip
def test_what_may_pass_is_asked_again_with_growing_waits(bad: Callable[[], Raw]) -> None:
    clock = FakeClock()
    with FakeEndpoint(first(3, bad)) as server:
        assert ask(server, clock).retries == 3
    assert len(clock.slept) == 3
    for attempt, waited in enumerate(clock.slept):
        assert 0.5 * 2**attempt <= waited <= 2**attempt


@pytest.mark.parametrize("value", ["7", "Tue, 14 Nov 2023 22:13:27 GMT"])
def test_retry_after_is_honoured_as_seconds_and_as_a_date(value: str) -> None:
    clock = FakeClock()
    with FakeEndpoint(first(1, lambda: fault(429, headers={"Retry-After": value}))) as server:
        assert ask(server, clock).retries == 1
    assert clock.time == pytest.approx(7)  # its own wait is within that time


def test_a_hanging_connection_is_given_up_and_asked_again() -> None:
    with FakeEndpoint(first(1, lambda: Raw(hang=True))) as server:
        assert ask(server, timeout_s=0.2).retries == 1


def test_a_server_that_stays_down_is_one_error() -> None:
    with FakeEndpoint(lambda body, before: fault(503, "overloaded")) as server:
        with pytest.raises(EndpointError, match=r"m at http.*, q: no answer after 4 attempts \(HTTP 503: overloaded\)"):
            ask(server, attempts=4)
        assert len(server.asked) == 4


def test_nobody_listens() -> None:
    with FakeEndpoint() as server:
        pass
    with pytest.raises(EndpointError, match="no answer after 2 attempts \\(ClientConnectorError"):
        ask(server, attempts=2)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: fault(401, "Incorrect API key provided: sk-secret"), r"HTTP 401: Incorrect API key provided: \*\*\*"),
        (lambda: fault(403, "x" * 296 + "sk-secret"), r"x{296}\*\*\*"),
        (lambda: fault(404, "no model m"), "HTTP 404: no model m"),
        (lambda: fault(400, "max_tokens is not supported"), "(?s)max_tokens is not supported.*see `body`"),
        (lambda: fault(429, "pay", code="insufficient_quota"), "(?s)HTTP 429: pay.*no quota left"),
        (lambda: fault(429, "later", headers={"Retry-After": "86400"}), "it asks to wait 86,400 s"),
        (lambda: Raw(body='{"choices": [{"message": {"content": "x"}}]}'), "does not say how many tokens"),
    ],
)
def test_what_will_not_pass_is_not_asked_again(
    bad: Callable[[], Raw], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    with FakeEndpoint(lambda body, before: bad()) as server:
        with pytest.raises(EndpointError, match=message) as caught:
            ask(server, key_env="SOME_KEY")
        assert len(server.asked) == 1
    assert server.keys == {"Bearer sk-secret"} and "sk-s" not in str(caught.value)


@pytest.mark.parametrize("value", ["", "  "])
def test_a_key_that_is_not_set_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(InputError, match="environment variable SOME_KEY: holds no key"):
        EndpointSampler(EndpointSpec(url="http://127.0.0.1:1/v1", model="m", key_env="SOME_KEY"))


@pytest.mark.parametrize("url", ["localhost:8000/v1", "https://user:key@host/v1", "https://host/v1?key=1"])
def test_urls_that_cannot_be_meant_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        EndpointSpec(url=url, model="m")


def run(server: FakeEndpoint, out: Path, n: int = 3, **more: Any) -> Path:
    sampler = EndpointSampler(spec(server, **more), clock=FakeClock())
    ledger = Ledger(out.parent / "ledger.jsonl")
    return explore(pool(), sampler, {"direct": n}, LIMITS, seed=0, round=0, out=out, ledger=ledger)


@pytest.mark.parametrize("takes_n", ["yes", "ignores", "refuses"])
def test_all_samples_come_whatever_the_server_makes_of_n(tmp_path: Path, takes_n: str) -> None:
    def script(body: dict[str, Any], before: int) -> Raw:
        if takes_n == "refuses" and body.get("n", 1) > 1:
            return fault(400, "n must be 1", param="n")
        return completion(body, n=1) if takes_n == "ignores" else completion(body)

    with FakeEndpoint(script) as server:
        groups = read_samples(run(server, tmp_path / "samples.jsonl", usd_per_m_in=2.0, usd_per_m_out=10.0))
    assert {name: [s.index for s in samples] for name, samples in groups.items()} == {
        f"q{i}": [0, 1, 2] for i in range(10)
    }
    alone = [body for body in server.asked if "n" not in body]
    if takes_n == "yes":
        assert not alone and [body["n"] for body in server.asked] == [3] * 10
    else:
        asked = [(body["messages"][-1]["content"], body["seed"]) for body in alone]
        assert len(set(asked)) == len(asked)  # every sample has a seed of its own
    (entry,) = Ledger(tmp_path / "ledger.jsonl").entries()
    replies = [body for body in server.asked if not (takes_n == "refuses" and body.get("n", 1) > 1)]
    samples = [sample for group in groups.values() for sample in group]
    assert entry.prompt_tok == 2 * len(replies)
    assert entry.completion_tok == sum(sample.completion_tok for sample in samples)
    assert entry.completion_tok == sum(len(sample.text.split()) + 1 for sample in samples)
    assert entry.usd == pytest.approx((2.0 * entry.prompt_tok + 10.0 * entry.completion_tok) / 1e6)
    assert (entry.model_flop, entry.device_flop) == (0, 0)


def test_the_same_call_asks_with_the_same_seeds(tmp_path: Path) -> None:
    seeds = []
    with FakeEndpoint() as server:
        for folder in "ab":
            server.asked.clear()
            run(server, tmp_path / folder / "samples.jsonl")
            seeds.append(sorted(body["seed"] for body in server.asked))
        assert seeds[0] == seeds[1] and len(set(seeds[0])) == 10
        assert (tmp_path / "a/samples.jsonl").read_bytes() == (tmp_path / "b/samples.jsonl").read_bytes()


def test_never_more_requests_at_once_than_allowed(tmp_path: Path) -> None:
    def slow(body: dict[str, Any], before: int) -> Raw:
        time.sleep(0.02)
        return completion(body)

    with FakeEndpoint(slow) as server:
        run(server, tmp_path / "samples.jsonl", concurrency=2)
    assert server.most_at_once == 2


@pytest.mark.parametrize(
    ("takes_n", "lives_for"),
    [(True, 0), (True, 1), (True, 5), (True, 9), (False, 0), (False, 1), (False, 17), (False, 29)],
)
def test_an_endpoint_that_dies_midway_costs_nothing_twice(tmp_path: Path, takes_n: bool, lives_for: int) -> None:
    def healthy(body: dict[str, Any], before: int) -> Raw:
        return completion(body) if takes_n else completion(body, n=1)

    def mortal(body: dict[str, Any], before: int) -> Raw:
        return healthy(body, before) if sum(server.answered.values()) < lives_for else fault(503, "gone")

    with FakeEndpoint(healthy) as server:
        whole = run(server, tmp_path / "whole" / "samples.jsonl")
    out = tmp_path / "dies" / "samples.jsonl"
    with FakeEndpoint(mortal) as server:
        for _ in range(2):  # the second time it is dead from the start
            with pytest.raises(
                InputError, match=r"no answer after 2 attempts.*\n.*same command again.*answers are kept"
            ):
                run(server, out, attempts=2, concurrency=3)
        assert not out.with_suffix(".done").exists()
        server.script = healthy
        run(server, out, attempts=2, concurrency=3)
    assert max(server.answered.values()) == 1, "asked and paid for twice"
    assert read_samples(out).keys() == read_samples(whole).keys()
    assert not out.with_suffix(".responses.jsonl").exists()
    assert not (out.parent / "lost.jsonl").exists()


def test_a_torn_note_is_asked_again_and_only_that(tmp_path: Path) -> None:
    out = tmp_path / "samples.jsonl"
    with FakeEndpoint(lambda body, before: completion(body) if before < 3 else fault(503)) as server:
        with pytest.raises(InputError):
            run(server, out, n=1, attempts=1, concurrency=1)
        notes = out.with_suffix(".responses.jsonl")
        kept = notes.read_bytes()
        assert kept.count(b"\n") == 3
        notes.write_bytes(kept[:-20])
        server.script = lambda body, before: completion(body)
        run(server, out, n=1, attempts=1, concurrency=1)
    assert sorted(server.answered.values()) == [1] * 9 + [2]


def test_withheld_samples_and_retries_are_counted(tmp_path: Path) -> None:
    def script(body: dict[str, Any], before: int) -> Raw:
        if body["messages"][-1]["content"] == "question 3":
            return fault(400, code="content_filter")
        return fault(500) if before == 0 else completion(body)

    with FakeEndpoint(script) as server:
        out = run(server, tmp_path / "samples.jsonl", n=1)
    remote = [json.loads(line)["remote"] for line in out.with_suffix(".chunks.jsonl").read_text().splitlines()]
    assert sum(part["filtered"] for part in remote) == 1 and sum(part["retries"] for part in remote) == 1
    assert sum(part["requests"] for part in remote) == 9 and {part["usd"] for part in remote} == {None}
    assert remote[0]["models"] == ["m-2026"] or remote[0]["models"] == ["m", "m-2026"]
    (refused,) = read_samples(out)["q3"]
    assert (refused.finish_reason, refused.text, refused.completion_tok) == ("content_filter", "", 0)


def test_a_key_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    with FakeEndpoint(first(4, lambda: fault(500, "sk-secret"))) as server:
        with pytest.raises(InputError):
            run(server, tmp_path / "samples.jsonl", key_env="SOME_KEY", attempts=1, concurrency=1)
        run(server, tmp_path / "samples.jsonl", key_env="SOME_KEY")
    assert not [path for path in tmp_path.iterdir() if b"sk-secret" in path.read_bytes()]


@given(st.integers(0, 10_000), st.lists(st.integers(1, 500), min_size=1, max_size=20))
def test_tokens_are_shared_out_to_the_last_one(total: int, weights: list[int]) -> None:
    shares = share_out(total, weights)
    assert sum(shares) == total and len(shares) == len(weights)
    assert all(abs(share - total * weight / sum(weights)) < 1 for share, weight in zip(shares, weights, strict=True))


@pytest.mark.parametrize("objective", ["rft", "clipped"])
def test_a_round_is_tuned_on_served_samples(tiny_model: Path, tmp_path: Path, objective: str) -> None:
    """Plumbing: the fake server's samples have no token ids, so the trainer makes them from the text."""
    from tao.answers.interpreter import NumberInterpreter
    from tao.loop import tune
    from tao.recipe import make_recipe

    (tmp_path / "d.json").write_text(json.dumps({"columns": ["2023"], "rows": [["a", 3], ["b", 7]]}))
    asked = [Message("user", f"a|3\nb|7\nQuestion: {name}?") for name in "ab"]
    prompts = [Prompt(f"q{i}", (asked[i % 2],), handles={"document": str(tmp_path / "d.json")}) for i in range(4)]

    def script(body: dict[str, Any], before: int) -> Raw:
        return completion(body, lambda body, choice: "37"[choice % 3 == 0])

    fields: dict[str, Any] = {"sampler": "endpoint", "rounds": 1, "samples": 6, "objective": objective}
    fields |= {"max_prompt_tok": 64, "max_new_tok": 8, "mentions": False, "precision": "fp32"}
    out, interpreter = tmp_path / "run", NumberInterpreter()
    weights = []
    with FakeEndpoint(script) as server, FakeEndpoint() as moved:
        for where, usd, concurrency in ((server, 1, 1), (server, 1, 2), (moved, 5, 2)):
            # Where, how and at what price it is asked is no part of what was asked for.
            priced = spec(where, usd_per_m_in=usd, usd_per_m_out=2, concurrency=concurrency)
            recipe = make_recipe({**fields, "endpoint": priced.model_dump()})
            result = tune(tiny_model, prompts, interpreter, recipe, out)
            weights.append(result.checkpoint)
        assert len(server.asked) == 4 and not moved.asked
        other = make_recipe({**fields, "endpoint": {**priced.model_dump(), "model": "another"}})
        with pytest.raises(InputError, match=r'what differs: recipe\.endpoint\.model \("m" before, "another" now\)\n'):
            tune(tiny_model, prompts, interpreter, other, out)
    interpreter.close()
    assert result.stopped == "rounds" and result.checkpoint != tiny_model and len(set(weights)) == 1
    explored, trained = Ledger(out / "ledger.jsonl").entries()
    assert explored.model_flop == 0 and explored.usd is not None and explored.usd > 0
    assert trained.model_flop > 0 and trained.usd is None
