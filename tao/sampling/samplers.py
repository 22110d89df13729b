"""Which sampler a recipe names, as a factory from checkpoint folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tao.errors import InputError
from tao.sampling.protocol import Sampler

if TYPE_CHECKING:
    from tao.endpoint import EndpointSpec

SamplerFactory = Callable[[Path], Sampler]
LOCAL = ("transformers", "vllm")
"""Samplers that hold the weights of a folder; what an arm of the bench can answer with."""


def local_sampler(folder: Path, name: str = "transformers", engine: Mapping[str, Any] | None = None) -> Sampler:
    """A sampler of the weights in a folder, in bfloat16.

    Args:
        folder: Weights, tokenizer, chat template.
        name: One of `LOCAL`.
        engine: Keyword arguments of `vllm.LLM`, e.g. ``{"tensor_parallel_size": 4}``.

    Raises:
        InputError: Unusable folder, or no vLLM here.
    """
    if name == "vllm":
        from tao.sampling.vllm_sampler import VllmSampler

        return VllmSampler(folder, engine=engine)
    from tao.sampling.transformers_sampler import TransformersSampler

    return TransformersSampler(folder)


def watching_factory(name: str, engine: Mapping[str, Any]) -> SamplerFactory:
    """A factory for comparing checkpoints: where an endpoint explores, transformers answers for them."""
    local = name if name in LOCAL else "transformers"
    return lambda folder: local_sampler(folder, local, engine)


def sampler_factory(name: str, engine: Mapping[str, Any], endpoint: EndpointSpec | None) -> SamplerFactory:
    """A factory for the fields `sampler`, `vllm` and `endpoint` of a recipe.

    Raises:
        InputError: An endpoint without its description.
    """
    if name != "endpoint":
        return lambda folder: local_sampler(folder, name, engine)
    if endpoint is None:
        raise InputError("needs to know which endpoint", "sampler: endpoint", "add `endpoint: {url: ..., model: ...}`")

    def served(folder: Path) -> Sampler:
        from tao.sampling.endpoint_sampler import EndpointSampler

        return EndpointSampler(endpoint)

    return served


def reworder_factory(endpoint: EndpointSpec | None) -> Callable[[], Sampler] | None:
    """A factory for the field `reworder` of a recipe; None where the model rewords for itself."""
    if endpoint is None:
        return None

    def served() -> Sampler:
        from tao.sampling.endpoint_sampler import EndpointSampler

        return EndpointSampler(endpoint)

    return served
