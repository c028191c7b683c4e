"""Where a text may be broken: how much it hurts to part two neighbouring words."""

from __future__ import annotations

# English function words, since breaking well takes no more grammar than this: a line should not end with a
# word that leads into what follows, and may well begin with one (BBC subtitle guidelines, "line breaks").
ARTICLES = frozenset("a an the this that these those my your his her its our their no every each some any".split())
PREPOSITIONS = frozenset(
    "about above across after against along among around at before behind below beneath beside between beyond by "
    "down during for from in inside into like near of off on onto out over past since through till to toward "
    "towards under until up upon with within without".split()
)
CONJUNCTIONS = frozenset(
    "and but or nor so yet because although though if unless when where while whereas as than that which who whom "
    "whose".split()
)
SUBJECTS = frozenset("i you he she it we they who there i'm you're he's she's it's we're they're i'll i've".split())
AUXILIARIES = frozenset(
    "am is are was were be been being have has had do does did will would shall should can could may might must not "
    "don't doesn't didn't won't wouldn't can't couldn't very too more most".split()
)
LEADS_ON = ARTICLES | PREPOSITIONS | CONJUNCTIONS | SUBJECTS | AUXILIARIES
# What follows a verb as its particle ("grew up") opens nothing.
PARTICLES = frozenset("about around down off on out over through up".split())
OPENS = (PREPOSITIONS | CONJUNCTIONS) - PARTICLES

LONG_PAUSE = 0.4  # seconds; from here on a pause marks a boundary whatever the words are


def break_cost(left: str, right: str, pause: float = 0.0) -> float:
    """How bad a break between two words is: 0 after a sentence, about 1.4 anywhere, 2.5 inside a phrase.

    Args:
        left, right: the words on either side.
        pause: seconds of silence between them.
    """
    if left.endswith((".", "?", "!", "…")):
        return 0.0
    if left.endswith((",", ";", ":", "—")):
        cost = 0.3
    elif left.lower() in LEADS_ON:
        cost = 2.5
    elif right.lower() in OPENS:
        cost = 0.8
    elif right.lower() in ARTICLES or right.lower() in SUBJECTS:
        cost = 1.1
    else:
        cost = 1.4
    return cost * max(0.1, 1.0 - max(pause, 0.0) / LONG_PAUSE)
