"""Lesson 04's exercises: each meets each anticipated mistake with its sentence."""

import math

import pytest
import torch
from exercises import lesson_04

from widgets.exercise import Exercise

EXERCISES = {exercise.id: exercise for exercise in vars(lesson_04).values() if isinstance(exercise, Exercise)}

# Each mistake: the exercise, what to find in its sentence, and code that makes it.
MISTAKES: list[tuple[str, str, object]] = []


def mistake(id: str, sentence: str):
    return lambda function: MISTAKES.append((id, sentence, function)) or function


# --- 04.causal_mask ---------------------------------------------------------------------------------------------


def square(T):
    return torch.ones(T, T, dtype=torch.bool)


mistake("04.causal_mask", "lets position 3 see position 5")(lambda T: square(T))
mistake("04.causal_mask", "lets position 0 see position 1")(lambda T: square(T).tril(1))
mistake("04.causal_mask", "upside down")(lambda T: square(T).triu(1))
mistake("04.causal_mask", "Rows and columns are swapped")(lambda T: square(T).triu())
mistake("04.causal_mask", "hides every position from itself")(lambda T: square(T).tril(-1))
mistake("04.causal_mask", "hides position 0 from position 2")(lambda T: square(T).tril() & ~square(T).tril(-2))
mistake("04.causal_mask", "truth values are asked for")(lambda T: torch.ones(T, T).tril())
mistake("04.causal_mask", "truth values are asked for")(lambda T: torch.full((T, T), -9.0).triu(1))
mistake("04.causal_mask", "has shape `(6,)`")(lambda T: torch.arange(T) < T)
mistake("04.causal_mask", "mask for `T = 1` has shape `(6, 6)`")(lambda T: square(6).tril())


# --- 04.attention -----------------------------------------------------------------------------------------------


def attend(q, k, v, mask, scale=None, dim=-1, fill=-math.inf, hidden=None):
    scores = q @ k.T * (q.size(-1) ** -0.5 if scale is None else scale)
    return scores.masked_fill(~mask if hidden is None else hidden, fill).softmax(dim=dim) @ v


@mistake("04.attention", "Softmax over the wrong axis")
def wrong_axis(q, k, v, mask):
    return attend(q, k, v, mask, dim=0)


@mistake("04.attention", "not divided at all")
def no_root(q, k, v, mask):
    return attend(q, k, v, mask, scale=1)


@mistake("04.attention", "divided by D;")
def by_d(q, k, v, mask):
    return attend(q, k, v, mask, scale=1 / q.size(-1))


@mistake("04.attention", "scaled by 2.000")
def times_root(q, k, v, mask):
    return attend(q, k, v, mask, scale=q.size(-1) ** 0.5)


@mistake("04.attention", "applied after the softmax")
def mask_after(q, k, v, mask):
    return ((q @ k.T / math.sqrt(q.size(-1))).softmax(-1) * mask) @ v


@mistake("04.attention", "applied after the softmax")
def mask_after_without_root(q, k, v, mask):
    return ((q @ k.T).softmax(-1) * mask) @ v


@mistake("04.attention", "because exp(0) is 1")
def zeroed(q, k, v, mask):
    return attend(q, k, v, mask, fill=0)


@mistake("04.attention", "which the mask hides")
def mask_ignored(q, k, v, mask):
    return attend(q, k, v, square(1).expand(mask.shape))


@mistake("04.attention", "use `~mask`")
def mask_inverted(q, k, v, mask):
    return attend(q, k, v, mask, hidden=mask)


@mistake("04.attention", "is the softmax missing")
def no_softmax(q, k, v, mask):
    return (q @ k.T / math.sqrt(q.size(-1)) * mask) @ v


@mistake("04.attention", "You returned the weights")
def only_weights(q, k, v, mask):
    return attend(q, k, torch.eye(len(k)), mask)


@mistake("04.attention", "their dot product")
def distances(q, k, v, mask):
    scores = -torch.cdist(q, k) / math.sqrt(q.size(-1))
    return scores.masked_fill(~mask, -math.inf).softmax(-1) @ v


@mistake("04.attention", "what they gather is not")
def twice(q, k, v, mask):
    return attend(q, k, v, mask) @ torch.ones(v.size(1), v.size(1)) if v.size(1) == 3 else attend(q, k, v, mask)


# --- 04.induction_head ------------------------------------------------------------------------------------------


def best(scores):
    return divmod(int(scores.argmax()), scores.size(1))


def diagonal(attention, back):
    return attention[:, 0].diagonal(-back, dim1=-2, dim2=-1)


@mistake("04.induction_head", "copy of the *same* token")
def same_token(attention):
    return best(diagonal(attention, attention.size(-1) // 2).mean(-1))


@mistake("04.induction_head", "averaged over the wrong diagonal")
def wrong_diagonal(attention):
    return best(diagonal(attention, attention.size(-1) // 2 - 2).mean(-1))


@mistake("04.induction_head", "looks at the token before")
def previous(attention):
    return best(diagonal(attention, 1).mean(-1))


@mistake("04.induction_head", "looks at itself")
def itself(attention):
    return best(diagonal(attention, 0).mean(-1))


@mistake("04.induction_head", "very first token")
def first(attention):
    return best(attention[:, 0, :, :, 0].mean(-1))


@mistake("04.induction_head", "take the mean")
def maximum(attention):
    return best(diagonal(attention, attention.size(-1) // 2 - 1).amax(-1))


@mistake("04.induction_head", "about at random")
def upper_diagonal(attention):
    return best(diagonal(attention, 1 - attention.size(-1) // 2).mean(-1))


@mistake("04.induction_head", "`divmod(")
def flat(attention):
    return diagonal(attention, attention.size(-1) // 2 - 1).mean(-1).argmax()


@mistake("04.induction_head", "the layer comes first")
def head_first(attention):
    return lesson_04.my_induction_head(attention)[::-1]


@pytest.mark.parametrize("id, sentence, learner", MISTAKES)
def test_each_mistake_gets_its_own_sentence(id, sentence, learner):
    exercise = EXERCISES[id].check(learner)
    assert exercise.outcome == "incorrect" and sentence in exercise.message, exercise.message


def test_the_induction_head_can_be_looked_for_in_a_real_recording():
    from lmcore.models import Transformer, TransformerConfig, record

    model = Transformer(TransformerConfig(vocab_size=50, n_layer=2, n_head=2, n_kv_head=1, n_embd=8))
    once = torch.randint(50, (1, 10))
    layer, head = lesson_04.my_induction_head(record(model, torch.cat([once, once], dim=1)).attention)
    assert layer in (0, 1) and head in (0, 1)
