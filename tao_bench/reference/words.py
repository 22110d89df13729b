"""Open vocabulary for the pretraining world: everyday words and invented ones, no business terms.

The reference model has to *copy* names and values it has never seen, so most of what it
reads is drawn from an unbounded set: syllables put together at random.
"""

from __future__ import annotations

from random import Random

NOUNS = """apple anchor arrow badger barn basket beacon bear beetle bell berry bird blanket boat book bottle
bowl branch bridge brook brush bucket butterfly cabin camel candle canyon castle cat cave cedar
chair cherry chess choir circle cliff cloud coast comet coral cottage crane crater creek cricket
crown crystal dance deer desert dolphin donkey door dragon dream drum duck dune eagle engine falcon
farm feather fern festival field film fish flag flame flower flute forest fossil fountain fox frog
galaxy game garden gate glacier goat grape grass grove guitar hammer harbor harp hat hawk hedge
helmet hill hive horse island jacket jar jungle kettle key kite kitten ladder lake lamp lantern leaf
lemon lens lighthouse lion lizard llama lodge magnet maple mask match meadow melon meteor mill
mirror monkey moon moose moss moth mountain mushroom nest novel oak oasis ocean olive onion opera
orbit orchard otter owl oyster paddle painting palace panda parade park parrot path peach pear
pebble pencil penguin piano pigeon pine planet plant poem pond pony poppy potato puzzle pyramid
quilt rabbit raft rainbow raven reef ribbon river robin rocket rose ruin sail salmon sandwich saddle
satellite scarf school sculpture seal seed shark sheep shell shoe singer sketch snail snake song
sparrow spider spoon spring squirrel stable star statue stone storm stream summit swan tale team
temple tent theater thunder tiger tower trail tree trophy trumpet tulip tunnel turtle valley vase
village vine violin volcano voyage wagon walnut waterfall wave whale wheel willow window wizard wolf
wood yarn zebra actor album animal artist athlete author camp chapter city climber club coach
composer concert costume country cousin crew dancer district diver dog episode expedition explorer
family farmer fleet friend guest hiker hotel house hunter insect judge kitchen knight language
legend library lesson machine magician medal member museum musician neighbor night nurse painter
pilot player poet puppet race recipe region reader referee rider runner sailor scholar season singer
soldier species stadium stage student studio swimmer teacher theme tournament town trainer traveler
visitor writer zone lab pupil event sport tribe bakery station signal pattern section element moment
figure device mission portion garment session
""".split()

ADJECTIVES = """amber ancient bitter black blue bold brave bright broken brown calm clever cold copper crimson curly
dark deep distant double dry dusty early east eager empty fair fast fierce first flat frozen gentle
giant golden grand gray green happy heavy hidden high hollow icy inner iron ivory jolly kind large
last late lazy left light little lone long loud lower lucky main mellow middle mild minor narrow new
noble north old open orange outer pale plain proud purple quick quiet rapid rare red right rough
round royal rusty second sharp short shy silent silver simple slow small smooth soft solid south
spare steep strange strong sunny sweet swift tall tame third tiny upper vast violet warm west white
wide wild wise wooden yellow young active final local total basic common general normal original
personal primary public recent special standard
""".split()

MEASURES = """height weight length depth age speed score size rank width volume area points level distance
duration capacity density strength temperature brightness altitude power range energy rating votes
goals wins losses seats rooms pages steps petals teeth visits rounds floors stars strings colors
laps minutes hours days tries sightings population elevation quantity number count limit share rate
value grade mass pressure frequency index
""".split()

CATEGORIES = """color kind type shape style group class category habitat origin material status mood theme texture
family season direction genre flavor condition rarity league position phase stage source mode state
region city country language
""".split()

LABELS = "name title nickname label code tag motto alias".split()
DATES = """opened born found_on start_date end_date built_on seen_on created planted_on launch_date held_on
joined last_seen
""".split()
FLAGS = "is_active is_wild is_rare is_open is_tame has_map is_public".split()

_ONSETS = """b c d f g h j k l m n p r s t v w z br ch cl cr dr fl fr gl gr kl kr pl pr qu sh sk sl sm sn sp st
str th tr tw vr
""".split()
_NUCLEI = "a e i o u a e i o ai ea ee ia io oa ou ue ei".split()
_CODAS = "b ck d l ll m n nd ng nt p r rd rk rm rn rt s ss st t th x z n r l".split()
_ENDINGS = """ia on er en um is a o us el ar in or ax ix an ey al ton ment tion ing ist ry ty ce ge age ance ship
""".split()


class WorldRandom(Random):
    """A generator of the world at one phase of the pretraining.

    Attributes:
        novelty: Share of names drawn from outside the lists; None in the first phase, where a third of the
            nouns are invented and adjectives never are. Learning to copy needs familiar words first and
            unfamiliar ones later: with the lists alone the model recalls words instead of copying them.
    """

    novelty: float | None = None


def novelty(rng: Random, first: float) -> float:
    """Share of unseen words: `first` in the first phase, the generator's own later."""
    later = rng.novelty if isinstance(rng, WorldRandom) else None
    return first if later is None else later


def _chain() -> dict[str, str]:
    table: dict[str, str] = {}
    for word in (*NOUNS, *ADJECTIVES, *MEASURES, *CATEGORIES):
        marked = f"^^{word}$"
        for i in range(len(marked) - 2):
            table[marked[i : i + 2]] = table.get(marked[i : i + 2], "") + marked[i + 2]
    return table


_CHAIN = _chain()
"""Two letters to the letters that followed them in the lists, with repetition."""


def english_like(rng: Random) -> str:
    """A word whose letters follow each other as in English words, from a second-order chain."""
    while True:
        word = "^^"
        while not word.endswith("$") and len(word) < 14:
            word += rng.choice(_CHAIN[word[-2:]])
        word = word.strip("^$")
        if 3 <= len(word) <= 11:
            return word


def adjective(rng: Random) -> str:
    """An adjective, or in later phases a new word in its place."""
    share = novelty(rng, 0.0)
    return rng.choice(ADJECTIVES) if not share or rng.random() > share else invented(rng)


def invented(rng: Random) -> str:
    """A pronounceable word that (almost surely) nobody has seen."""
    if novelty(rng, 0.0) and rng.random() < 0.6:
        return english_like(rng)
    parts = [rng.choice(_ONSETS) + rng.choice(_NUCLEI) + (rng.choice(_CODAS) if rng.random() < 0.45 else "")]
    for _ in range(rng.choice((0, 0, 1, 1, 1))):
        parts.append(
            rng.choice(_ONSETS)[:1] + rng.choice(_NUCLEI)[:1] + (rng.choice(_CODAS) if rng.random() < 0.4 else "")
        )
    if rng.random() < 0.4:
        parts.append(rng.choice(_ENDINGS))
    word = "".join(parts)
    return word if len(word) > 2 else word + rng.choice(_ENDINGS)


def noun(rng: Random) -> str:
    """A singular noun: invented in a third of the cases, in later phases in most."""
    return rng.choice(NOUNS) if rng.random() < 1 - novelty(rng, 0.34) else invented(rng)


def plural(word: str) -> str:
    """English plural of the last word, by the regular rules."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def cell_value(rng: Random, style: str) -> str:
    """A text value of one style: every column keeps one style."""
    word = noun(rng)
    if style == "lower":
        return word
    if style == "lower2":
        return f"{adjective(rng)} {word}"
    if style == "title":
        return word.capitalize()
    if style == "title2":
        return f"{(adjective(rng) if rng.random() < 0.5 else invented(rng)).capitalize()} {word.capitalize()}"
    if style == "upper":
        return word[: rng.randint(2, 5)].upper()
    return f"{word[: rng.randint(1, 3)].upper()}{rng.choice(('', '-', '-'))}{rng.randint(1, 999)}"  # a code


VALUE_STYLES = ("lower", "lower2", "title", "title", "title2", "title2", "upper", "code")
