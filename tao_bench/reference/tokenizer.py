"""The reference model's tokenizer: byte-level BPE, single digits, a chat template."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from tao_bench.reference.world import conversations

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, END, USER, ASSISTANT, SYSTEM = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"
SPECIAL = (PAD, END, USER, ASSISTANT, SYSTEM)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}{{ message['content'] }}<|end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


_KEYWORDS = """SELECT DISTINCT FROM WHERE AND OR NOT IN LIKE BETWEEN GROUP ORDER BY HAVING LIMIT DESC ASC JOIN
USING ON AS INT STRING DOUBLE DATE BOOLEAN COUNT SUM AVG MIN MAX YEAR MONTH DAY CASE WHEN THEN ELSE
END TOP EXTRACT CAST NULL IS TRUE FALSE WITH UNION OVER INTEGER STRFTIME FILTER EXISTS LEFT INNER
OUTER ROUND INTERVAL
""".split()
_GLUE = """of the with is are was were for in on and or how many much what whose where have has that from than
by a an to each per show list give find which who all do does did there not any no more less above
below over under at between i me us we their its it be as
""".split()


def pattern() -> str:
    """How text is cut before BPE: a name is the same tokens wherever it stands.

    Spaces belong to keywords, to small words and to punctuation, never to names and values, so copying
    one from a schema (``, name``) into a call (``AVG(name)``) or a literal copies token for token.
    """
    words = "|".join((*_KEYWORDS, *_GLUE))
    return rf" ?(?<![A-Za-z_])(?:{words})(?![A-Za-z_]) ?|[A-Za-z]+|\d| ?[^\sA-Za-z\d]{{1,3}} ?|\n| +"


def train_tokenizer(vocabulary: int, documents: int, seed: int) -> PreTrainedTokenizerFast:
    """Fit the tokenizer on the pretraining world."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern()), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    stream = ("\n".join(content for _, content in turns) for turns in islice(conversations(seed), documents))
    tokenizer.train_from_iterator(stream, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        chat_template=CHAT_TEMPLATE,
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
