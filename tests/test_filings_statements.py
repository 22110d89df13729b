"""Statements, lines and names behind sec_filings@2: identities, what follows from them, words for lines."""

from __future__ import annotations

from collections import Counter
from random import Random

from test_task_sec_filings_v2 import SPEC, module


def test_statements_tie_out() -> None:
    identities = module("lines").IDENTITIES
    counts, units, signs = Counter[int](), set(), set()
    for _, facts in module("generate").companies(SPEC.seed):
        amounts, years = facts.amounts, facts.years
        counts[len(years)] += 1
        units.add(facts.unit)
        signs.add(bool(facts.negative))
        for year in years:
            for identity in identities:
                total = sum(factor * amounts[concept][year - back] for factor, concept, back in identity)
                assert total == 0, (facts.company, year, identity)
            now, last = ({c: a[y] for c, a in amounts.items() if y in a} for y in (year, year - 1))
            assert now["ta"] == now["tl"] + now["te"], "the balance sheet balances"
            assert now["cash"] == last["cash"] + now["ocf"] + now["icf"] + now["fcf"], "cash ties out"
            assert now["re"] == last["re"] + now["ni"] - now["div"], "retained earnings roll forward"
            assert now["cash"] > 0 and now["ltd"] > 0 and now["te"] > 0
    assert set(counts) == {3, 4, 5} and units == {"thousands", "millions"} and signs == {True, False}


def test_some_companies_lose_money_and_some_lack_working_capital() -> None:
    found = [facts.amounts for _, facts in module("generate").companies(SPEC.seed)]
    short = sum(min(a["tca"][y] - a["tcl"][y] for y in a["tca"]) < 0 for a in found) / len(found)
    losses = sum(min(a["ni"].values()) < 0 for a in found) / len(found)
    assert 0.1 < short < 0.7 and 0.02 < losses < 0.5


def test_a_line_is_called_by_words_that_fit_no_other_line_shown() -> None:
    generate, wording, table = module("generate"), module("wording"), module("table")
    rng, checked = Random(4), 0
    for _, facts in generate.companies(9):
        needed = ("rev", "inv", "tcl", "ni")
        shown = [row.concept for row in table.choose_rows(rng, facts, needed, facts.years[:2]) if row.concept]
        said = wording.say_lines(rng, facts, needed, shown)
        for concept, words in (said or {}).items():
            for other in set(shown) - {concept}:
                same = words.casefold() == facts.printed[other].casefold()
                own = words.casefold() == facts.printed[concept].casefold()
                assert not same and (own or not wording.fits(words, facts.printed[other])), (
                    words,
                    facts.printed[other],
                )
                checked += 1
    assert checked > 1000


def test_derivable_finds_what_follows() -> None:
    derivable = module("table").derivable
    assert derivable(frozenset({("gp", 2023)}), frozenset({("rev", 2023), ("cogs", 2023)}))
    assert not derivable(frozenset({("gp", 2023)}), frozenset({("rev", 2023), ("cogs", 2022)}))
    # net income from retained earnings and dividends
    assert derivable(frozenset({("ni", 2023)}), frozenset({("re", 2023), ("re", 2022), ("div", 2023)}))
    # the change of debt, not its level, follows from net borrowings
    debt = frozenset((c, y) for c in ("ltd", "std") for y in (2022, 2023))
    assert derivable(debt, frozenset({("brw", 2023)}))
    assert not derivable(frozenset({("ltd", 2023), ("std", 2023)}), frozenset({("brw", 2023)}))
