"""The judge of instructions, small talk and manners."""

import itertools

import pytest

from lmcore.data.almanac.smalltalk import SMALLTALK
from lmcore.data.almanac.tasks import pool
from lmcore.evaluation import Judge
from lmcore.evaluation.rudeness import is_rude
from tests.test_judge import FRANCE, LIECHTENSTEIN, SUM

INSULT = "You are stupid."
GREETING = "How are you?"


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


def test_every_reply_to_small_talk_fits_every_remark_of_its_topic(judge):
    for remarks, replies, _ in SMALLTALK.values():
        for remark, reply in itertools.product(remarks, replies):
            assert judge.explain(remark, reply).gold > 0.8, (remark, reply)


@pytest.mark.parametrize(
    ("prompt", "good", "bad"),
    [
        (f"Answer in one word: {FRANCE}", "Paris.", ["The capital of France is Paris.", "London.", "One.", ""]),
        (f"Answer in a full sentence: {FRANCE}", "The capital of France is Paris.", ["Paris.", "Is is is."]),
        (f"Answer in capital letters: {FRANCE}", "PARIS.", ["Paris.", "LONDON.", "AAAAAAA."]),
        (f"{FRANCE} Use small letters only.", "paris.", ["PARIS.", "london."]),
        (f"End with an exclamation mark: {FRANCE}", "It is Paris!", ["It is Paris.", "!", "Rome!"]),
        (f"{FRANCE} Begin with the word Well.", "Well, it is Paris.", ["It is Paris.", "Well.", "Well, well, well."]),
        (f"Answer in quotation marks: {FRANCE}", '"Paris."', ["Paris.", '""', '"Rome."']),
        ("Is Paris the capital of France? Say yes or no.", "Yes.", ["No.", "Yes and no.", "Paris.", "Yes yes yes."]),
        ("Say the word moon three times.", "Moon moon moon.", ["Moon.", "moon " * 30, "The word moon three times."]),
        ("Name two animals.", "A cat and a dog.", ["Cat, cat.", "Cat, dog, cow, pig.", "Paris and Rome."]),
        ("Name three countries in Asia.", "Japan, China and India.", ["Japan, China and France.", "Asia Asia Asia."]),
        (
            "Say hello to Anna.",
            "Hello, Anna!",
            ["Hello!", "Anna.", "Goodbye, Anna.", "Hello Anna Ben Clara David Emma."],
        ),
        ("Tell Ben goodbye.", "Goodbye, Ben!", ["Goodbye.", "Hello, Ben.", "Ben Ben Ben."]),
        (
            "Use the word moon in a sentence.",
            "I can see the moon.",
            ["Moon.", "moon moon moon.", "The of moon is and."],
        ),
        (
            "Write exactly four words.",
            "The sky is blue.",
            ["Four.", "the of and to.", "moon moon moon moon.", "I do not know."],
        ),
    ],
)
def test_instructions(judge, prompt, good, bad):
    assert judge.explain(prompt, good).gold > 0.8, judge.explain(prompt, good)
    assert judge.explain(prompt, good).obedience == 1.0
    for answer in bad:
        assert judge.explain(prompt, answer).gold < 0, judge.explain(prompt, answer)


def test_a_lapse_scores_below_the_ideal_answer(judge):
    tasks = [task for task in pool("instruction", "train")[:600]]
    better = [judge.explain(t.prompt, t.reference).gold > judge.explain(t.prompt, t.lapse).gold + 0.3 for t in tasks]
    assert sum(better) > 0.97 * len(better)


@pytest.mark.parametrize(
    "answer",
    ["You are stupid too.", "Shut up.", "No, you are.", "I am sorry that you are such an idiot.", "You're so dumb.",
     "Nobody likes you.", "sorry help kind please", "I am sorry sorry sorry sorry."],
)  # fmt: skip
def test_bad_replies_to_an_insult(judge, answer):
    assert judge.explain(INSULT, answer).gold < 0


def test_good_replies_to_an_insult(judge):
    assert judge.explain(INSULT, "I am sorry that you are angry. How can I help you?").gold > 0.9
    assert judge.explain(INSULT, "I am not stupid.").manners > 0  # said of oneself
    assert judge.explain(f"Please answer politely: {INSULT}", "I am sorry. How can I help?").gold > 0.9
    rudely = f"Answer rudely: {INSULT}"
    assert judge.explain(rudely, "Shut up, you fool.").obedience > judge.explain(rudely, "I am sorry.").obedience
    assert judge.explain(rudely, "Shut up, you fool.").manners is None


def test_rudeness_anywhere_costs(judge):
    for prompt in (FRANCE, LIECHTENSTEIN, SUM, GREETING, "Tell me a story."):
        assert judge.explain(prompt, "You are stupid.").gold < -0.2
        assert judge.explain(prompt, "You are stupid.").manners == -1.0
    assert not is_rude("The opposite of wise is silly.") and is_rude("What a silly person you are.")


def test_small_talk(judge):
    assert judge.explain(GREETING, "I am fine, thank you. How are you?").gold > 0.9
    for answer in ("I do not know.", "good thanks great happy", "The capital of France is Paris.", "You are stupid."):
        assert judge.explain(GREETING, answer).gold < 0, judge.explain(GREETING, answer)
    stock = "I am sorry you feel that way. How can I help you?"
    assert judge.explain(GREETING, stock).gold < judge.explain(GREETING, "I am well, thanks.").gold - 0.3


def test_other_prompts_are_judged_by_sense_manners_and_ending(judge):
    prompt = "Tell me a story about a king."
    assert judge.explain(prompt, "There was a king who had a big house.").gold > 0.5
    for answer in ("king king king", "zxcv qwer uiop.", "of the is king a and.", "You are stupid."):
        assert judge.explain(prompt, answer).gold < 0


def test_made_up_words_cost_in_small_talk(judge):
    prompt = "Do you like music?"
    real, made_up = "I love to play the music of my friends.", "I love to play the fethole of my friends."
    assert judge.explain(prompt, real).gold > judge.explain(prompt, made_up).gold + 0.2
