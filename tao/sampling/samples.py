"""Reading a stage's samples back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tao.errors import InputError
from tao.prompts import Sample, read_jsonl


@dataclass(frozen=True, slots=True)
class MeasuredSample(Sample):
    """A sample whose sampler measured how sure the model was of it.

    Attributes:
        certainty: See `tao.sampling.protocol.Completion.certainty`.
    """

    certainty: float


def read_samples(path: Path) -> dict[str, list[Sample]]:
    """Read ``samples.jsonl`` or ``answers.jsonl``: prompt id to its samples, by index.

    Raises:
        InputError: Missing file or malformed row.
    """
    groups: dict[str, list[Sample]] = {}
    for where, row in read_jsonl(path):
        try:
            made = MeasuredSample if "certainty" in row else Sample
            sample = made(**{**row, "token_ids": tuple(row["token_ids"])})
        except (TypeError, KeyError) as error:
            raise InputError(f"malformed sample row ({error!r})", where) from error
        groups.setdefault(sample.prompt_id, []).append(sample)
    return {prompt_id: sorted(samples, key=lambda sample: sample.index) for prompt_id, samples in groups.items()}
