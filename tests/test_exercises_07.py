"""Lesson 07's exercises: each meets each anticipated mistake with its sentence."""

import math

import pytest
import torch
import torch.nn.functional as F
from exercises import lesson_07

from widgets.exercise import Exercise

EXERCISES = {exercise.id: exercise for exercise in vars(lesson_07).values() if isinstance(exercise, Exercise)}


# Each mistake: the exercise, what to find in its sentence, and code that makes it.
MISTAKES: list[tuple[str, str, object]] = []


def mistake(id: str, sentence: str):
    return lambda function: MISTAKES.append((id, sentence, function)) or function


# --- 07.loss_mask -------------------------------------------------------------------------------------------------


def right_mask(ids):
    return lesson_07.my_loss_mask(ids, 3, 4, 5)


ID = "07.loss_mask"
mistake(ID, "You learn everything")(lambda ids, *_: [True] * len(ids))
mistake(ID, "other way round")(lambda ids, *_: [not one for one in right_mask(ids)])
mistake(ID, "nobody teaches the model to stop")(
    lambda ids, *_: [one and token != 5 for one, token in zip(right_mask(ids), ids, strict=True)]
)
mistake(ID, "You include `<|assistant|>`")(
    lambda ids, *_: [one or token == 4 for one, token in zip(right_mask(ids), ids, strict=True)]
)
mistake(ID, "the last answer only")(
    lambda ids, *_: [one and i > len(ids) - 1 - ids[::-1].index(4) for i, one in enumerate(right_mask(ids))]
)
mistake(ID, "is `<|user|>`, and you learn it")(
    lambda ids, *_: [
        one or (token == 3 and i > 0) for i, (one, token) in enumerate(zip(right_mask(ids), ids, strict=True))
    ]
)
mistake(ID, "the user's `<|end|>`")(
    lambda ids, *_: [one or token == 5 for one, token in zip(right_mask(ids), ids, strict=True)]
)
mistake(ID, "should be True")(lambda ids, *_: [False] * len(ids))
mistake(ID, "one for each token")(lambda ids, *_: right_mask(ids)[1:])


# --- 07.sft_loss --------------------------------------------------------------------------------------------------


def losses(z, ids):
    return F.cross_entropy(z[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")


ID = "07.sft_loss"
mistake(ID, "one place off")(lambda z, ids, m: losses(z, ids)[m[:, :-1]].mean())
mistake(ID, "You count every token")(lambda z, ids, m: losses(z, ids).mean())
mistake(ID, "number of all positions")(lambda z, ids, m: (losses(z, ids) * m[:, 1:]).mean())
mistake(ID, "mean of each conversation first")(
    lambda z, ids, m: ((losses(z, ids) * m[:, 1:]).sum(1) / m[:, 1:].sum(1)).mean()
)
mistake(ID, "added the losses up")(lambda z, ids, m: losses(z, ids)[m[:, 1:]].sum())
mistake(ID, "about its own token")(lambda z, ids, m: F.cross_entropy(z[m], ids[m]))
mistake(ID, "the wrong way round")(lambda z, ids, m: losses(z, ids)[~m[:, 1:]].mean())
mistake(ID, "The sign is missing")(lambda z, ids, m: -losses(z, ids)[m[:, 1:]].mean())
mistake(ID, "is in bits")(lambda z, ids, m: losses(z, ids)[m[:, 1:]].mean() / math.log(2))
mistake(ID, "their mean is asked for")(lambda z, ids, m: losses(z, ids)[m[:, 1:]])
mistake(ID, "it should be")(lambda z, ids, m: 2 * losses(z, ids)[m[:, 1:]].mean())


# --- 07.answer ----------------------------------------------------------------------------------------------------


def answer(model, prompt, end, longest, keep_end=False, go_on=False, feed=True, limit=True, with_prompt=False):
    ids, said = list(prompt), []
    while (len(said) < longest) if limit else True:
        scores = model(ids)
        token = scores.index(max(scores))
        if token == end and not go_on:
            said += [end] if keep_end else []
            break
        said.append(token)
        if feed:
            ids.append(token)
    return [*prompt, *said] if with_prompt else said


def spoils_the_prompt(model, prompt, end, longest):
    said = answer(model, prompt, end, longest)
    prompt += said
    return said


ID = "07.answer"
mistake(ID, "ends with `end`")(lambda *given: answer(*given, keep_end=True))
mistake(ID, "You go on after `end`")(lambda *given: answer(*given, go_on=True))
mistake(ID, "again and again")(lambda *given: answer(*given, feed=False))
mistake(ID, "who says stop")(lambda *given: answer(*given, limit=False, go_on=True))
mistake(ID, "begins with the prompt")(lambda *given: answer(*given, with_prompt=True))
mistake(ID, "changed its input")(spoils_the_prompt)
mistake(ID, "stops after 2 tokens")(lambda *given: answer(*given)[:2])
mistake(ID, "and `longest` is 4")(lambda m, p, e, n: answer(m, p, e, n + 1))
mistake(ID, "a list of token ids is asked for")(lambda *given: "Hello.")
mistake(ID, "Your list holds scores")(lambda m, p, e, n: m(p))
mistake(ID, "Your list holds tensors")(lambda *given: list(torch.tensor(answer(*given))))


@pytest.mark.parametrize("id, sentence, learner", MISTAKES, ids=[f"{id}-{said}" for id, said, _ in MISTAKES])
def test_each_mistake_is_named(id, sentence, learner):
    exercise = EXERCISES[id].check(learner)
    assert exercise.outcome == "incorrect"
    assert sentence in exercise.message


@pytest.mark.parametrize(
    "id, learner",
    [
        ("07.loss_mask", lambda ids, *_: torch.tensor(right_mask(ids))),
        ("07.loss_mask", lambda ids, *_: [int(one) for one in right_mask(ids)]),
        ("07.sft_loss", lambda z, ids, m: F.cross_entropy(z[:, :-1][m[:, 1:]], ids[:, 1:][m[:, 1:]])),
        ("07.sft_loss", lambda *given: float(lesson_07.my_sft_loss(*given))),
        ("07.answer", lambda *given: tuple(answer(*given))),
    ],
)
def test_other_right_ways_are_right(id, learner):
    assert EXERCISES[id].check(learner).outcome == "correct", EXERCISES[id].message
