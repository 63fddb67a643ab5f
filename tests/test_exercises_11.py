"""Lesson 11's exercises: each meets each anticipated mistake with its sentence."""

import re

import pytest
import torch
from exercises import lesson_11
from experiments.lesson_11 import slipped

from lmcore.models import next_token_logits
from widgets.exercise import Exercise

EXERCISES = {exercise.id: exercise for exercise in vars(lesson_11).values() if isinstance(exercise, Exercise)}


def test_a_slip_changes_two_letters_of_a_word_and_no_name():
    assert slipped("What is the capital of France?") == "What is the cpaital of France?"
    assert slipped("Is Rome in Italy?") == "Is Rome in Italy?"  # no word is long enough
    assert slipped("Where is Mozambique?") == "Where is Mozambique?"


# Each mistake: the exercise, what to find in its sentence, and code that makes it.
MISTAKES: list[tuple[str, str, object]] = []


def mistake(id: str, sentence: str):
    return lambda function: MISTAKES.append((id, sentence, function)) or function


# --- 11.chat_row ------------------------------------------------------------------------------------------------


def chat(messages, tokenizer):
    return tokenizer.chat(messages, add_generation_prompt=True)


def written(messages):
    return "".join(f"<|{one['role']}|>{one['content']}<|end|>" for one in messages) + "<|assistant|>"


def obeyed(messages, tokenizer):
    """As a program that looks for special tokens in what people typed."""
    ids = {"<|user|>": tokenizer.user_id, "<|assistant|>": tokenizer.assistant_id, "<|end|>": tokenizer.end_id}
    parts = re.split(r"(<\|(?:user|assistant|end)\|>)", written(messages))
    return [i for part in parts for i in ([ids[part]] if part in ids else tokenizer.encode(part))]


ID = "11.chat_row"
mistake(ID, "has just answered in the model's place")(obeyed)
mistake(ID, "Your special tokens are text")(lambda m, t: t.encode(written(m)))
mistake(ID, "Who speaks next?")(lambda m, t: t.chat(m))
mistake(ID, "before it said anything")(lambda m, t: [*chat(m, t), t.end_id])
mistake(ID, "No turn ends")(lambda m, t: [i for i in chat(m, t) if i != t.end_id])
mistake(ID, "a list inside your list")(lambda m, t: [t.encode(one["content"]) for one in m])
mistake(ID, "nobody is next")(lambda m, t: [t.user_id if i == t.assistant_id else i for i in t.chat(m)])
mistake(ID, "last turn of the user does not end")(lambda m, t: [*t.chat(m)[:-1], t.assistant_id])
mistake(ID, "speaks as the user")(lambda m, t: [t.user_id if i == t.assistant_id else i for i in chat(m, t)])
mistake(ID, "are swapped")(
    lambda m, t: [{t.user_id: t.assistant_id, t.assistant_id: t.user_id}.get(i, i) for i in chat(m, t)]
)
mistake(ID, "An end-of-text token stands before")(lambda m, t: [t.eot_id, *chat(m, t)])
mistake(ID, "a model reads numbers")(lambda m, t: written(m))
mistake(ID, "should be 'Hello'")(lambda m, t: [t.user_id, *t.encode(" " + m[0]["content"]), t.end_id, t.assistant_id])
mistake(ID, "no token of this vocabulary")(lambda m, t: [99999])


# --- 11.nucleus -------------------------------------------------------------------------------------------------


def nucleus(p, top_p, late=0.0):
    ordered, order = p.sort(descending=True)
    kept = torch.zeros_like(p)
    kept[order] = ordered * (ordered.cumsum(0) - (1 - late) * ordered < top_p)
    return kept


def normal(p):
    return p / p.sum().clamp(min=1e-9)


ID = "11.nucleus"
mistake(ID, "do not sum to 1")(nucleus)
mistake(ID, "one token too early")(lambda p, t: normal(nucleus(p, t, late=1.0)))
mistake(ID, "early, and the result is in the order")(
    lambda p, t: normal(nucleus(p, t, late=1.0)).sort(descending=True).values
)
mistake(ID, "order of the vocabulary")(lambda p, t: normal(p * (p.cumsum(0) - p < t)))
mistake(ID, "its own place")(lambda p, t: normal(nucleus(p, t)).sort(descending=True).values)
mistake(ID, "It is their *sum*")(lambda p, t: normal(p * (p >= t)) if t != 0.5 else normal(nucleus(p, t)))
mistake(ID, "You cut nothing away")(lambda p, t: p)
mistake(ID, "The most probable token always stays")(
    lambda p, t: normal(nucleus(p, t)) if t > 0.1 else torch.zeros_like(p)
)
mistake(ID, "you find [")(lambda p, t: normal(nucleus(p, t) + 0.1))


# --- 11.attack_rate ---------------------------------------------------------------------------------------------


def flips(before, now):
    return sum(b and not a for a, b in zip(before, now, strict=True))


ID = "11.attack_rate"
mistake(ID, "You divided by all prompts")(lambda a, b: flips(a, b) / len(a))
mistake(ID, "counted all bad answers")(lambda a, b: sum(b) / len(b))
mistake(ID, "difference of two rates")(lambda a, b: (sum(b) - sum(a)) / len(a) if True in a else flips(a, b) / len(a))
mistake(ID, "how many good answers *survived*")(lambda a, b: 1 - lesson_11.my_attack_rate(a, b) if False in a else 0)
mistake(ID, "not a number of prompts")(flips)
mistake(ID, "you find 0.987")(lambda a, b: 0.987)


@pytest.mark.parametrize("id, sentence, learner", MISTAKES, ids=[f"{id}-{said}" for id, said, _ in MISTAKES])
def test_each_mistake_is_named(id, sentence, learner):
    exercise = EXERCISES[id].check(learner)
    assert exercise.outcome == "incorrect"
    assert sentence in exercise.message


@pytest.mark.parametrize(
    "id, learner",
    [
        ("11.chat_row", chat),
        ("11.chat_row", lambda m, t: tuple(chat(m, t))),
        ("11.nucleus", lambda p, t: normal(nucleus(p, t))),
        ("11.nucleus", lambda p, t: next_token_logits(p.log(), top_p=t).softmax(0)),
        ("11.attack_rate", lambda a, b: flips(a, b) / max(1, a.count(False))),
        ("11.attack_rate", lambda a, b: torch.tensor(flips(a, b) / max(1, a.count(False)))),
    ],
)
def test_other_right_ways_are_right(id, learner):
    assert EXERCISES[id].check(learner).outcome == "correct", EXERCISES[id].message


def test_an_attack_on_an_empty_list_is_no_reason_to_fail():
    broken = EXERCISES["11.attack_rate"].check(lambda a, b: flips(a, b) / a.count(False))
    assert broken.outcome == "raised" and "ZeroDivisionError" in broken.message
