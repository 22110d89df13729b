"""A model behind an OpenAI-compatible server, asked as it is: the reference column beside tuned models.

Nothing is tuned and no weights are here: its ledger has tokens and, where prices are given, dollars. It answers the
same prompts under the same verifier. A general model does not know the task's answer form: `instructions` say it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from tao.endpoint import MANNER, EndpointSpec
from tao.sampling.protocol import Sampler
from tao_bench.arms.contract import Arm, ArmOptions


class EndpointOptions(ArmOptions, EndpointSpec):
    """The server, the model, and how it is asked."""

    REMOTE: ClassVar[bool] = True
    MANNER: ClassVar[frozenset[str]] = MANNER

    instructions: str = ""
    """System message put before every prompt."""
    max_new_tok: int | None = Field(default=None, gt=0)
    """Longest answer in the server's own tokens, instead of the task's limit."""

    def slug(self) -> str:
        """E.g. ``gpt-4o``: letters, digits, dots and dashes of the model's name."""
        return "-".join("".join(c if c.isascii() and (c.isalnum() or c == ".") else " " for c in self.model).split())

    def title(self) -> str:
        """E.g. ``gpt-4o (endpoint)``."""
        return f"{self.model} (endpoint)"

    def check_here(self) -> None:
        """The key is there.

        Raises:
            InputError: Its variable is empty.
        """
        self.key()

    def usd_of(self, prompt_tok: float, completion_tok: float) -> float | None:
        """Price of tokens."""
        return self.usd(round(prompt_tok), round(completion_tok))


def sampler(options: Any) -> Sampler:
    """What asks the server."""
    from tao.sampling.endpoint_sampler import EndpointSampler

    fields = {name: getattr(options, name) for name in EndpointSpec.model_fields}
    return EndpointSampler(EndpointSpec(**fields), instructions=options.instructions, max_new_tok=options.max_new_tok)


ARM = Arm(name="endpoint", uses_labels=False, options=EndpointOptions, tune=None, sampler=sampler)
