"""Text to training tokens: the deployment prompt, and the answer as deployment would emit it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from tao.errors import InputError
from tao.prompts import Message


def _template(tokenizer: Any, messages: Sequence[Message], generation: bool) -> list[int]:
    chat = [{"role": message.role, "content": message.content} for message in messages]
    encoded = tokenizer.apply_chat_template(chat, add_generation_prompt=generation, tokenize=True, return_dict=True)
    return [int(token) for token in encoded["input_ids"]]


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token ids of a prompt as deployment feeds it: chat template, open assistant turn."""
    return _template(tokenizer, messages, generation=True)


def answer_ids(tokenizer: Any, messages: Sequence[Message], answer: str, stop: Collection[int]) -> list[int]:
    """Token ids of the assistant's turn up to and with its end token.

    Args:
        tokenizer: With a chat template.
        messages: The prompt.
        answer: Text of the assistant's turn.
        stop: Ids that end a turn (end of text; generation's other end tokens).

    Raises:
        InputError: The template does not continue the prompt, or does not end the turn: the model would
            never learn to stop.
    """
    prompt = prompt_ids(tokenizer, messages)
    whole = _template(tokenizer, [*messages, Message("assistant", answer)], generation=False)
    if whole[: len(prompt)] != prompt:
        raise InputError(
            "the chat template renders the prompt differently once it is answered",
            "chat template",
            "use a template whose answered chat begins with the prompt and its assistant header",
        )
    tail = whole[len(prompt) :]
    for position, token in enumerate(tail):
        if token in stop:
            return tail[: position + 1]
    raise InputError(
        "the chat template does not end the assistant's turn with an end token", "chat template", f"end tokens: {stop}"
    )


def stop_ids(tokenizer: Any, generation_config: Any) -> frozenset[int]:
    """Ids that end a turn: the tokenizer's end of text and those generation stops at."""
    listed = getattr(generation_config, "eos_token_id", None)
    several = listed if isinstance(listed, (list, tuple)) else [listed]
    return frozenset(int(token) for token in (*several, tokenizer.eos_token_id) if token is not None)
