"""Questions in other words: asked of the model itself or of an endpoint, and kept only where nothing got lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tao.prompts import Message, Prompt, Sample
from tao.sampling.protocol import Request
from tao.sampling.strategies import QUESTION_MARK, View
from tao.sampling.wording import Wording
from tao.scoring.mentions import mentions, question_of, tokens

REWORDINGS = 2
"""Asked for per prompt: few, because each accepted one is a view that is prefilled once."""
_LONGEST = 3
"""Times the question's length that a rewording may have."""
_QUOTED = re.compile(r"[\"“`]([^\"”`]+)[\"”`]|(?<!\w)'([^']+)'(?!\w)")
_CAPITAL = re.compile(r"(?<!\w)[^\W\d_a-z]\w*")


def question_in(prompt: Prompt) -> str | None:
    """The question as it stands in the last message, without its mark; None where it cannot be told from the rest.

    Of what follows the context (of all, where none is named) it is the last line that begins with ``Question: ``, else
    all of it if that is one line, else the last line that ends in a question mark.
    """
    text = question_of(prompt) if prompt.context else prompt.messages[-1].content
    lines = [line for line in text.split("\n") if line.strip()]
    marked = [line for line in lines if line.startswith(QUESTION_MARK)]
    asked = [line for line in lines if line.rstrip().endswith("?")]
    chosen = marked or (lines if len(lines) == 1 else asked)
    return (chosen[-1].removeprefix(QUESTION_MARK).strip() or None) if chosen else None


def ask_views(prompts: Sequence[Prompt], wording: Wording) -> list[View]:
    """One request a prompt for its question in other words; the context is not shown, it only invites an answer."""
    views = []
    for prompt in prompts:
        question = question_in(prompt)
        if question is not None:
            request = Request(f"{prompt.id} [reword]", (Message("user", wording.reword + question),), REWORDINGS)
            views.append(View(prompt.id, "direct", 0, request))
    return views


def lost(prompt: Prompt, question: str, text: str) -> str:
    """What speaks against a rewording; '' if nothing does.

    It must keep every number, capitalised name and quoted string of the question (a capitalised word that merely begins
    a sentence counts if the context has it), bring in no number, be one line, end as the question ends, and not be
    the question itself.
    """
    new = text.strip()
    if not new or "\n" in new:
        return "is not one line"
    if len(new) > _LONGEST * len(question):
        return "is too long"
    if question[-1] in "?." and new[-1] != question[-1]:
        return f"does not end with {question[-1]!r}"
    if new.casefold().rstrip("?. ") == question.casefold().rstrip("?. "):
        return "is the question itself"
    said, was = tokens(_plain(new)), tokens(_plain(question))
    context = set(re.findall(r"\w+", "\n".join(prompt.context)))
    asked = Prompt(prompt.id, (Message("user", question),))
    needed = mentions(asked) & was | {word.casefold() for word in _CAPITAL.findall(question) if word in context}
    if missing := sorted(needed - said):
        return f"drops {missing[0]!r}"
    for match in _QUOTED.finditer(question):
        if (quoted := match[1] or match[2]).casefold() not in new.casefold():
            return f"drops {quoted!r}"
    if added := sorted(token for token in said - was if token[0].isdigit()):
        return f"brings in {added[0]!r}"
    return ""


def _plain(text: str) -> str:
    """Numbers without thousands separators."""
    return re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", text)


def accepted(
    prompts: Iterable[Prompt], answers: Mapping[str, Sequence[Sample]]
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Prompt id to its sound rewordings, each with the question it stands for; prompts without one are left out."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for prompt in prompts:
        question = question_in(prompt)
        if question is None:
            continue
        texts = dict.fromkeys(s.text.strip() for s in answers.get(prompt.id, ()) if s.finish_reason == "stop")
        sound = tuple((question, text) for text in texts if not lost(prompt, question, text))
        if sound:
            found[prompt.id] = sound
    return found
