"""Lesson 05's exercises: each meets each anticipated mistake with its sentence."""

import math

import pytest
import torch
from exercises import lesson_05

from widgets.exercise import Exercise

EXERCISES = {exercise.id: exercise for exercise in vars(lesson_05).values() if isinstance(exercise, Exercise)}

# Each mistake: the exercise, what to find in its sentence, and code that makes it.
MISTAKES: list[tuple[str, str, object]] = []


def mistake(id: str, sentence: str):
    return lambda function: MISTAKES.append((id, sentence, function)) or function


# --- 05.mask_tokens ---------------------------------------------------------------------------------------------


def blanks(ids, rate, generator, shape=None):
    return (torch.rand(shape or ids.shape, generator=generator) < rate) & (ids > 6)


@mistake("05.mask_tokens", "ask for every token")
def ask_all(ids, rate, mask_id, generator):
    return ids.masked_fill(blanks(ids, rate, generator), mask_id), ids


@mistake("05.mask_tokens", "you hid it")
def hide_special(ids, rate, mask_id, generator):
    hidden = torch.rand(ids.shape, generator=generator) < rate
    return ids.masked_fill(hidden, mask_id), ids.masked_fill(~hidden, -100)


@mistake("05.mask_tokens", "changed its input `ids` in place")
def in_place(ids, rate, mask_id, generator):
    hidden = blanks(ids, rate, generator)
    labels = ids.masked_fill(~hidden, -100)
    ids[hidden] = mask_id
    return ids, labels


@mistake("05.mask_tokens", "made after hiding")
def labels_too_late(ids, rate, mask_id, generator):
    hidden = blanks(ids, rate, generator)
    inputs = ids.masked_fill(hidden, mask_id)
    return inputs, inputs.masked_fill(~hidden, -100)


@mistake("05.mask_tokens", "you hid 50% of the ordinary tokens")
def rate_far_off(ids, rate, mask_id, generator):
    return lesson_05.my_mask_tokens(ids, 0.5, mask_id, generator)


@mistake("05.mask_tokens", "the other way round")
def keep_instead_of_hide(ids, rate, mask_id, generator):
    return lesson_05.my_mask_tokens(ids, 1 - rate, mask_id, generator)


@mistake("05.mask_tokens", "labels are upside down")
def labels_upside_down(ids, rate, mask_id, generator):
    hidden = blanks(ids, rate, generator)
    return ids.masked_fill(hidden, mask_id), ids.masked_fill(hidden, -100)


@mistake("05.mask_tokens", "in the same places")
def one_row_for_all(ids, rate, mask_id, generator):
    hidden = blanks(ids, rate, generator, ids.shape[1:])
    return ids.masked_fill(hidden, mask_id), ids.masked_fill(~hidden, -100)


@mistake("05.mask_tokens", "same tokens are hidden every time")
def own_seed(ids, rate, mask_id, generator):
    return lesson_05.my_mask_tokens(ids, rate, mask_id, torch.Generator().manual_seed(1))


@mistake("05.mask_tokens", "`generator=generator`")
def no_generator(ids, rate, mask_id, generator):
    return lesson_05.my_mask_tokens(ids, rate, mask_id, None)


@mistake("05.mask_tokens", "Nothing is hidden")
def nothing(ids, rate, mask_id, generator):
    return ids.clone(), torch.full_like(ids, -100)


@mistake("05.mask_tokens", "A token was replaced by 0")
def zeros(ids, rate, mask_id, generator):
    return lesson_05.my_mask_tokens(ids, rate, 0, generator)


@mistake("05.mask_tokens", "It should be -100")
def zero_labels(ids, rate, mask_id, generator):
    inputs, labels = lesson_05.my_mask_tokens(ids, rate, mask_id, generator)
    return inputs, labels.masked_fill((labels == -100) & (ids < 2000), 0)


@mistake("05.mask_tokens", "do not ask for it")
def forgets_some(ids, rate, mask_id, generator):
    inputs, labels = lesson_05.my_mask_tokens(ids, rate, mask_id, generator)
    return inputs, labels.masked_fill(labels < 2000, -100)


@mistake("05.mask_tokens", "inputs and labels, two tensors")
def inputs_only(ids, rate, mask_id, generator):
    return lesson_05.my_mask_tokens(ids, rate, mask_id, generator)[0]


# --- 05.pseudo_log_likelihood -----------------------------------------------------------------------------------


def score(logprob_fn, ids, mask_id, read, hide=lambda t: t):
    total = 0.0
    for t in range(len(ids)):
        inputs = ids.clone()
        inputs[hide(t)] = mask_id
        total = total + read(logprob_fn(inputs), t, ids)
    return total


@mistake("05.pseudo_log_likelihood", "hid all 5 tokens at once")
def all_at_once(logprob_fn, ids, mask_id):
    return logprob_fn(torch.full_like(ids, mask_id))[torch.arange(len(ids)), ids].sum()


@mistake("05.pseudo_log_likelihood", "log-probabilities of all positions")
def sum_all(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[torch.arange(len(ids)), ids].sum())


@mistake("05.pseudo_log_likelihood", "nothing hidden")
def sees_everything(logprob_fn, ids, mask_id):
    return logprob_fn(ids)[torch.arange(len(ids)), ids].sum()


@mistake("05.pseudo_log_likelihood", "The blanks pile up")
def pile_up(logprob_fn, ids, mask_id):
    total, inputs = 0.0, ids.clone()
    for t in range(len(ids)):
        inputs[t] = mask_id
        total += logprob_fn(inputs)[t, ids[t]]
    return total


@mistake("05.pseudo_log_likelihood", "from its left side only")
def left_only(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[t, ids[t]], hide=lambda t: slice(t, None))


@mistake("05.pseudo_log_likelihood", "hide one at a time")
def two_at_a_time(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[t, ids[t]], hide=lambda t: slice(t, t + 2))


@mistake("05.pseudo_log_likelihood", "never hidden")
def forgets_the_first(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[t, ids[t]], hide=lambda t: max(t, 1))


@mistake("05.pseudo_log_likelihood", "the mask token itself")
def reads_the_mask(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[t, mask_id])


@mistake("05.pseudo_log_likelihood", "one position too early")
def reads_like_gpt(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[t - 1, ids[t]])


@mistake("05.pseudo_log_likelihood", "average over the tokens")
def average(logprob_fn, ids, mask_id):
    return lesson_05.my_pseudo_log_likelihood(logprob_fn, ids, mask_id) / len(ids)


@mistake("05.pseudo_log_likelihood", "sign is wrong")
def negative(logprob_fn, ids, mask_id):
    return -lesson_05.my_pseudo_log_likelihood(logprob_fn, ids, mask_id)


@mistake("05.pseudo_log_likelihood", "You added probabilities")
def sum_of_probabilities(logprob_fn, ids, mask_id):
    return score(logprob_fn, ids, mask_id, lambda p, t, ids: p[t, ids[t]].exp())


@mistake("05.pseudo_log_likelihood", "You returned a probability")
def product(logprob_fn, ids, mask_id):
    return math.exp(lesson_05.my_pseudo_log_likelihood(logprob_fn, ids, mask_id))


@mistake("05.pseudo_log_likelihood", "one a token")
def per_token(logprob_fn, ids, mask_id):
    return logprob_fn(ids)[torch.arange(len(ids)), ids]


@mistake("05.pseudo_log_likelihood", "never asked the model")
def never_asked(logprob_fn, ids, mask_id):
    return -12.0


@mistake("05.pseudo_log_likelihood", "was given shape `(1, 5)`")
def batched(logprob_fn, ids, mask_id):
    return logprob_fn(ids[None])[0, 0, 0]


@mistake("05.pseudo_log_likelihood", "changed its input `ids` in place")
def hides_in_place(logprob_fn, ids, mask_id):
    ids[0] = mask_id
    return 0.0


# --- 05.best_pair -----------------------------------------------------------------------------------------------


def best(scores):
    return divmod(int(scores.argmax()), scores.size(1))


mistake("05.best_pair", "New Francisco")(lambda a, b: (a.argmax(), (a @ b).argmax()))
mistake("05.best_pair", "then the best second word for it")(lambda a, b: (a.argmax(), b[a.argmax()].argmax()))
mistake("05.best_pair", "multiply by p(a)")(lambda a, b: best(b))
mistake("05.best_pair", "is a product")(lambda a, b: best(a[:, None] + b))
mistake("05.best_pair", "wrong way round")(lambda a, b: best(a[:, None] * b)[::-1] if len(a) == 4 else (1, 1))
mistake("05.best_pair", "`divmod(")(lambda a, b: (a[:, None] * b).argmax())
mistake("05.best_pair", "how probable, not which")(lambda a, b: (a.max(), b.max()))
mistake("05.best_pair", "should return a pair")(lambda a, b: "San Francisco")


@pytest.mark.parametrize("id, sentence, learner", MISTAKES)
def test_each_mistake_gets_its_own_sentence(id, sentence, learner):
    exercise = EXERCISES[id].check(learner)
    assert exercise.outcome == "incorrect" and sentence in exercise.message, exercise.message
