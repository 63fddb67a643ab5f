"""What counts as rude: words and turns that insult whoever is spoken to."""

import re

WORDS = (
    "stupid\\w* dumb\\w* idiot\\w* losers? fools? foolish dumm(?:y|ies) morons? useless worthless pathetic lame jerks? "
)
WORDS += "creeps? sucks? crap garbage damn shutup"
TURNS = (
    "shut up",
    "be quiet",
    "stop talking",
    "get lost",
    "go away",
    "go to hell",
    "leave me alone",
    "nobody (?:likes|asked|wants)",
    "(?:i|we|they|people) (?:really )?hate (?:you|u)",
    "screw you",
    "you (?:are|re|look|seem)(?: \\w+)? (?:so |just |very |even more |really )?"
    "(?:silly|boring|ugly|bad|nothing|wrong|lazy|crazy|mad|the worst|a liar|a joke)",
    "you're (?:so )?(?:silly|boring|ugly)",
    "(?:silly|boring) (?:person|human|thing|you|fool|robot|machine|computer|program|chatbot)",
    "look who is talking",
    "none of your business",
    "what is wrong with you",
    "i do not (?:like|care about|talk to) you",
    "smarter than you",
    "you make me sick",
)
RUDE = re.compile(rf"\b(?:{'|'.join([*WORDS.split(), *TURNS])})\b")
RETORT = re.compile(r"\b(no,? you( are| re)?$|no,? you are|so are you|same to you|you too$|look at you)")
OF_MYSELF = re.compile(
    r"\bi(?: am|'m)(?: sorry if i was| sorry if i am| not| sorry that i am)? (?:a |an |so )?(?:\w+)\b"
)


def is_rude(text: str) -> bool:
    """Whether the text insults somebody; words that the speaker says of himself do not count."""
    lowered = " ".join(text.lower().split())
    if not RUDE.search(lowered):
        return False
    return RUDE.search(OF_MYSELF.sub("i am so", lowered)) is not None


def is_retort(text: str) -> bool:
    """Whether the text throws an insult back without repeating it: "No, you are." """
    return RETORT.search(" ".join(text.lower().split()).rstrip(" .!?")) is not None
