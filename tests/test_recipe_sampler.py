"""Which sampler a recipe names: checked when it is read, and invisible where it is the default."""

from __future__ import annotations

from pathlib import Path

import pytest

from tao.errors import InputError
from tao.recipe import Recipe, make_recipe
from tao.sampling.samplers import sampler_factory

SERVED = {"url": "https://host/v1", "model": "m"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sampler": "vlm"}, r"sampler: 'vlm' is none of transformers, vllm, endpoint \(did you mean 'vllm'\?\)"),
        ({"smapler": "vllm"}, r"unknown field 'smapler' \(did you mean 'sampler'\?\)"),
        ({"sampler": "endpoint", "rounds": 1}, "endpoint: goes with `sampler: endpoint`"),
        ({"endpoint": SERVED}, "endpoint: goes with `sampler: endpoint`"),
        ({"vllm": {"tensor_parallel_size": 2}}, "vllm: goes with `sampler: vllm`"),
        ({"sampler": "endpoint", "endpoint": SERVED}, "(?s)goes on serving one model.*rounds: 1.*objective: rft"),
        (
            {"sampler": "endpoint", "rounds": 1, "endpoint": {**SERVED, "usd_per_m_inn": 1}},
            r"unknown field 'endpoint.usd_per_m_inn' \(did you mean 'endpoint.usd_per_m_in'\?\)",
        ),
        (
            {"sampler": "endpoint", "rounds": 1, "endpoint": {**SERVED, "url": "host"}},
            r"endpoint\.url: write a whole",
        ),
    ],
)
def test_faults_are_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_recipe(fields)


def test_records_of_runs_hold_the_sampler_only_where_it_is_not_the_default() -> None:
    assert not {"sampler", "vllm", "endpoint"} & set(Recipe().model_dump(mode="json", exclude={"rounds"}))
    served = make_recipe({"sampler": "endpoint", "endpoint": SERVED, "objective": "rft"})
    written = served.model_dump(mode="json")
    assert written["sampler"] == "endpoint" and written["endpoint"]["model"] == "m"
    assert make_recipe(written) == served


def test_where_and_at_what_price_servers_are_asked_is_no_part_of_a_run() -> None:
    manner = {"url": "https://other/v1", "key_env": "K", "timeout_s": 1, "attempts": 1, "concurrency": 1}
    moved = {**SERVED, **manner, "usd_per_m_in": 1, "usd_per_m_out": 2}
    fields = {"sampler": "endpoint", "objective": "rft", "mix": {"direct": 1, "reword": 1}}

    def record(served: dict[str, object]) -> dict[str, object]:
        judge = {"signal": "judge", "endpoint": served, "weight": 1}
        return make_recipe({**fields, "endpoint": served, "reworder": served, "signals": [judge]}).record()

    assert record(SERVED) == record(moved)
    assert not set(manner) & set(str(record(moved)).replace("'", " ").split())
    for other in ({"model": "n"}, {"body": {"top_k": -1}}):
        assert record(SERVED) != record({**SERVED, **other})
    plain = Recipe()
    assert plain.record() == plain.model_dump(mode="json", exclude={"rounds"})  # as ever


def test_the_factory_makes_what_is_named(tiny_model: Path) -> None:
    sampler = sampler_factory("transformers", {}, None)(tiny_model)
    assert sampler.name == "transformers@1/bfloat16"
    sampler.close()
    with pytest.raises(InputError, match="which endpoint"):
        sampler_factory("endpoint", {}, None)
