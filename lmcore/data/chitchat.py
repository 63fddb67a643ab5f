"""Conversations between people, from the package chitchat-dataset (MIT): read, cleaned, cut into exchanges.

Students of one American university wrote them in 2018, to strangers, some of them for a prize: friendly, quick,
full of typing errors, and of one place and age. What a model learns here it has from them.
"""

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from itertools import pairwise

from lmcore.data import almanac

RATINGS = ("witty", "interesting", "upbeat")  # 1 to 10, given by one of the two people

FEWEST_TURNS = 4
LONGEST_TURN = 1200  # characters; longer ones are pasted or dictated to collect points
LONGEST_WORD = 30  # characters; longer ones are "aaaaaaaa", "010101010" or addresses
RARE = 4  # a word is rare if fewer conversations than this contain it
MOST_RARE_WORDS = 0.12  # of a conversation's words; above it is keyboard noise or another language

ADDRESSES = ("http", "www.", "@", ".com", ".org", ".net", ".edu", ".gov", ".io")
TELEPHONE = re.compile(r"\d{3}\W{0,2}\d{3}\W?\d{4}")
KEYBOARD_NOISE = re.compile(r"asdf|qwert|[bcdfghjklmnpqrstvwxz]{7}")
# Words that a course for everyone does without, in rot13, so that nobody has to read them here.
UNWANTED = frozenset(
    codecs.decode(
        "fuvg fuvgf shpx shpxvat ovgpu phag qvpx phz chff chffl cbea cbeabtencul cbeab frk frkl frkhny "
        "frkhnyyl frkgvat frkg frkhnyvmr frkhnyvmrf birefrkhnyvmrf frkjnk frkpbqre frkpbpbqre frklpbqre "
        "frkabphyne fyhg fyhggvrfg juber encr encrq encvfg encvfgf ubeal ahqr ahqrf anxrq rerpgvyr ergneq "
        "ergneqrq tbbx pbbaf avttre snttbg jgs jgsevpx yzsnb fgsh qnza cvffrq ohggubyr nubyr nffubyr nff "
        "nffrf obbof grfgvpyrf cbbc cebfgvghgr cebfgvghr fgevccref srgvfu srgvfuvmrf fhvpvqr fhvpvqny wvunq "
        "vfvf uvgyre uvgyref anmv anmvf fjrngfuvg fuvgb",
        "rot13",
    ).split()
)

SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
GREETING = re.compile(r"(?:hi|hey|hello|good (?:morning|evening|afternoon)|what'?s up|how are you)\b", re.I)
TELLING = re.compile(
    r"(?:I(?: really| also)? (?:love|like|hate|have|want|live|play|work|study)|I'm from|My (?:favou?rite|name))\b",
    re.I,
)
REACTING = re.compile(
    r"(?:oh|ooh|ah|aw+|wow|whoa|woah|nice|sweet|cool|awesome|great|really|same|me (?:too|neither)|congrat\w*|"
    r"ha(?:ha)+|yes|yeah|that|sounds|what|why|how|where|who|do you|are you|have you|i (?:also )?(?:love|like|hate))\b",
    re.I,
)
# A prompt with one of these words needs what was said before it.
POINTS_BACK = frozenset(
    "it its that they them their he she him her his there this those these one ones then else too "
    "so also instead again still same about wbu hbu which but and or yes yeah no not haha hahaha "
    "lol though either other both actually anyway".split()
)
# Talk about the website where these conversations took place, and about the writers' university.
OWN_WORLD = frozenset(
    "chat chats chatting chatted chatbot chatroom points point raffle website site page refresh "
    "reload message messages typing type glitch glitching bug bugs survey assignment app laggy "
    "lag conversation conversations robot bot bots ai siri alexa computer byu byui provo uvu "
    "mormon ward mission missions missionary stake tithing lds temple".split()
)
# For str.translate, which is faster than a regex.
ONLY_LETTERS = {code: " " for code in range(128) if not chr(code).islower()}


def conversations() -> Iterator[dict]:
    """Every presentable conversation, a row each, as `corpus.chitchat` describes it.

    Raises: ModuleNotFoundError, OSError or ValueError if the package is missing or damaged.
    """
    file = resources.files("chitchat_dataset").joinpath("dataset.json")
    written = json.loads(file.read_text(encoding="utf-8"))
    turns = {name: [_turn(messages) for messages in row["messages"]] for name, row in written.items()}
    for name in _presentable({name: lines for name, lines in turns.items() if len(lines) >= FEWEST_TURNS}):
        roles = ("user", "assistant") * (len(turns[name]) // 2 + 1)
        ratings = written[name].get("ratings", {})
        yield {
            "conversation_id": name,
            "messages": [{"role": r, "content": c} for r, c in zip(roles, turns[name], strict=False)],
            "text": "\n".join(turns[name]),
            **{rating: ratings.get(rating) for rating in RATINGS},
        }


def exchanges(messages: list[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """The [user, assistant] pairs of a conversation that can be understood alone.

    A greeting, a question, or something told about oneself, of 2 to 30 words (the last sentence of a turn, because
    that is what people reply to), and a reply of 2 to 25 words.
    """
    for asked, answered in pairwise(messages):
        prompt, reply = SENTENCE_END.split(asked["content"])[-1], answered["content"]
        if 2 <= len(prompt.split()) <= 30 and 2 <= len(reply.split()) <= 25 and _stands_alone(prompt, reply):
            yield [{"role": "user", "content": prompt}, {"role": "assistant", "content": reply}]


def _turn(messages: list[dict[str, str]]) -> str:
    """What one person wrote without being interrupted. People press Enter where others write a full stop."""
    turn = ""
    for message in messages:
        text = " ".join(message["text"].split())
        new_sentence = turn and turn[-1].isalnum() and text[:1].isupper()
        turn += (". " if new_sentence else " " if turn and text else "") + text
    return turn


def _presentable(conversations: dict[str, list[str]]) -> Iterator[str]:
    """The ids of conversations without strong language, addresses, noise, and names the almanac keeps out."""
    texts = {name: " ".join(turns).lower() for name, turns in conversations.items()}
    words = {name: _words(text) for name, text in texts.items()}
    spread = Counter(word for name in words for word in set(words[name]))
    rare = {word for word, count in spread.items() if count < RARE}
    kept_out = {name.lower() for name in almanac.names_kept_out()}
    phrases = ADDRESSES + tuple(name for name in kept_out if not name.isalpha())
    unwanted = UNWANTED | kept_out | {name + "s" for name in kept_out} | set(filter(KEYBOARD_NOISE.search, rare))
    for name, turns in conversations.items():
        lengths = [len(turn) for turn in turns]
        if (
            min(lengths) > 0
            and max(lengths) <= LONGEST_TURN
            and max(map(len, texts[name].split())) <= LONGEST_WORD
            and unwanted.isdisjoint(words[name])
            and sum(map(rare.__contains__, words[name])) <= MOST_RARE_WORDS * len(words[name])
            and not any(phrase in texts[name] for phrase in phrases)
            and not TELEPHONE.search(texts[name])
        ):
            yield name


def _stands_alone(prompt: str, reply: str) -> bool:
    words = set(_words(prompt.lower()))
    greets = GREETING.match(prompt) and len(prompt.split()) <= 6
    asks = prompt.endswith("?") and len(words) >= 4 and not words.isdisjoint({"you", "your"})
    tells = TELLING.match(prompt) and not prompt.endswith("?") and REACTING.match(reply)
    return (
        bool(greets or asks or tells)
        and words.isdisjoint(POINTS_BACK)
        and OWN_WORLD.isdisjoint(words.union(_words(reply.lower())))
    )


def _words(lower_case: str) -> list[str]:
    return lower_case.translate(ONLY_LETTERS).split()
