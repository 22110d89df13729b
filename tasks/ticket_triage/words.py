"""Wording of tickets. Each bank ends with the phrasings that only the test split's unseen companies use."""

from __future__ import annotations

from random import Random

KEPT = 2
"""Phrasings at the end of a bank that are kept for unseen companies."""

MATTERS = {
    "invoices and refunds": (
        "You charged us twice for the same month.",
        "The last bill shows three seats we never ordered.",
        "We are still waiting for the refund of our deposit.",
        "Our voucher was not taken off the sum.",
        "The tax number on the statement is wrong.",
        "The last bill lists the yearly fee twice.",
        "There is a surcharge on the statement that nobody can explain.",
        "Two credit notes we were promised never came.",
    ),
    "sign-in and passwords": (
        "I cannot get past the code that is sent to my phone.",
        "The link to set a new password does not open.",
        "My profile is locked after a few wrong tries.",
        "A colleague who joined on Monday has no login yet.",
        "The single sign-on sends me in circles.",
        "Please take the login of a former colleague away.",
        "It says my credentials are unknown.",
        "The second factor asks for a device I no longer own.",
    ),
    "contracts and terms": (
        "We want to add a second site to our agreement.",
        "Which notice period does our agreement have?",
        "Please send us the signed copy of the order form.",
        "Our name changed and the agreement should say so.",
        "We want a longer term for our agreement.",
        "Can the agreement be moved to our sister company?",
        "We need the liability clause explained.",
        "Does our framework deal cover a subsidiary?",
    ),
    "courses and guides": (
        "Is there a course for beginners in May?",
        "The handbook does not say how to archive a project.",
        "Could somebody show our new team around?",
        "The video on reports cannot be found any more.",
        "We look for exercises for our apprentices.",
        "Where is the printed guide for administrators?",
        "Our trainer needs slides for a refresher.",
        "Which lesson covers the yearly closing?",
    ),
}
"""Matters that are no fault of a product, with ways to raise them."""
FAULTS = (
    "{p} shows a blank page after the start.",
    "{p} stops at 80 percent and then starts over.",
    "Since the last update {p} is painfully slow.",
    "{p} loses what we type when we switch windows.",
    "The totals in {p} do not match the entries.",
    "{p} says 'unexpected state' and closes.",
    "Nothing that we print from {p} comes out.",
    "The search in {p} finds nothing newer than March.",
    "{p} mixes up the names of two sites.",
    "Exports from {p} arrive empty.",
    "{p} no longer sends the nightly message.",
    "Dates in {p} are one day off.",
    "{p} freezes as soon as a second person opens the record.",
    "Pictures in {p} turn up sideways.",
    "{p} drops its connection every few minutes.",
    "The buttons of {p} do not react on the tablet.",
    "{p} swallows every second entry.",
    "What {p} displays is a week old.",
)
USERS = (
    "{n} people are affected.",
    "It hits {n} of us.",
    "{n} colleagues see the same.",
    "By our count {n} persons have it.",
    "The number of people touched is {n}.",
    "It concerns {n} members of staff.",
)
BANKS = {
    "stopped": (
        "Nobody can work at the moment.",
        "Our work is at a standstill.",
        "The whole line has come to a halt.",
        "We cannot do anything until it is solved.",
        "Everything here has ground to a stop.",
        "All our activity is suspended because of it.",
    ),
    "leak": (
        "I could read the home addresses of people I do not know.",
        "Somebody from another firm saw our staff's birthdays.",
        "A list with private phone numbers went to the wrong person.",
        "Medical notes of a colleague were visible to a visitor.",
        "A stranger was shown the salaries of our employees.",
        "Bank details of our staff ended up with an outsider.",
    ),
    "leaving": (
        "We are thinking about going to another vendor.",
        "If this goes on we will end the agreement.",
        "My boss has asked for quotes from your rivals.",
        "We are considering to cancel.",
        "We may not stay with you for long.",
        "An exit is being discussed here.",
    ),
    "deadline": (
        "We have to hand in the report in six hours.",
        "It is due tonight.",
        "The audit begins in eight hours.",
        "By midnight it must be with the authorities.",
        "The cut-off is in five hours.",
        "Our submission closes before the day is over.",
    ),
    "workaround": (
        "For now we manage by using the old form.",
        "There is a way around it that costs some time.",
        "We help ourselves with a spreadsheet meanwhile.",
        "Restarting gets us through the day.",
        "A detour works for the time being.",
        "In the meantime we cope by mail.",
    ),
    "trial": (
        "We are still trying you out.",
        "Our trial runs until the end of the month.",
        "We are on the trial account.",
        "This is from our test phase; we have not bought yet.",
        "We are evaluating under a trial at present.",
        "So far we only have the trial.",
    ),
    "public": ("We are a town hall.", "I write for the county court.", "This is the municipal library."),
    "announced": (
        "It happened in the maintenance window that you had announced.",
        "It began during the works you told us about last week.",
        "You had announced maintenance for that hour.",
    ),
}
TIMES = (
    "This is the {nth} time I report it.",
    "I wrote about the same thing before; this is report number {n}.",
    "{n} reports of it, counting this one, and still no answer.",
    "It is my {nth} message about it.",
    "Counting today I have raised it {n} times.",
    "Today's is the {nth} ticket on this.",
)
AMOUNT = (
    "We dispute {n:,} euros.",
    "{n:,} euros are in dispute.",
    "A sum of {n:,} euros is in dispute between us.",
    "The sum in dispute is {n:,} euros.",
    "We do not accept a charge of {n:,} euros.",
    "We contest a sum of {n:,} euros.",
)
DISTRACTORS = (
    "No personal data was seen by anyone.",
    "We are happy with you otherwise and will stay.",
    "We have no deadline to keep.",
    "{other} works without a fault.",
    "Last year we had trouble with {other}, which you solved.",
    "I am away on Friday.",
    "Please answer by mail, not by phone.",
    "Our site has {n} employees in all.",
    "We bought {n} seats in spring.",
    "A screenshot is attached.",
    "My colleague thought it was {other}, but it is not.",
    "The building closes at six.",
    "We can keep working on other things.",
    "Thank you for the quick help last time.",
)
OPENINGS = "Hello,|Good morning,|Dear team,|Hi there,|To whom it concerns,|Good day,".split("|")


def pick(rng: Random, bank: tuple[str, ...], unseen: bool) -> str:
    """A phrasing: of the kept ones for unseen companies, else of the others. Short banks are for the unseen alone."""
    if len(bank) <= KEPT + 1:
        return rng.choice(bank)
    return rng.choice(bank[-KEPT:] if unseen else bank[:-KEPT])
