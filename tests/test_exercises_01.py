"""The exercises of lesson 01: each accepts its own solution, and meets each anticipated mistake with its sentence."""

import math

import pytest
import torch
from exercises import lesson_01

from lmcore.models import NGram, next_token_logits
from widgets.exercise import Exercise

EXERCISES = {exercise.id: exercise for exercise in vars(lesson_01).values() if isinstance(exercise, Exercise)}


MISTAKES: list[tuple[str, str, object]] = []


def mistake(id: str, sentence: str):
    return lambda function: MISTAKES.append((id, sentence, function)) or function


# --- 01.backoff -------------------------------------------------------------------------------------------------


def back_off(counts, context, word, shorter=lambda context: context[1:], factor=0.4):
    if times := counts.get((*context, word), 0):
        return times / counts[context]
    return factor * back_off(counts, shorter(context), word, shorter, factor) if context else 0.0


mistake("01.backoff", "lost the wrong word")(lambda n, c, w: back_off(n, c, w, lambda context: context[:-1]))
mistake("01.backoff", "full credit")(lambda n, c, w: back_off(n, c, w, factor=1))
mistake("01.backoff", "once too often")(lambda n, c, w: 0.4 * back_off(n, c, w))
mistake("01.backoff", "no context at all")(lambda n, c, w: back_off(n, c, w, lambda context: ()))
mistake("01.backoff", "it should be")(lambda n, c, w: back_off(n, c, w, factor=0.5))
mistake("01.backoff", "do not step back at all")(lambda n, c, w: n[*c, w] / n[c] if (*c, w) in n else 0.0)


@mistake("01.backoff", "only once, however far")
def one_factor(counts, context, word):
    found = back_off(counts, context, word, factor=1)
    return found if (*context, word) in counts else 0.4 * found


@mistake("01.backoff", "length of the text")
def share_of_all(counts, context, word, steps=0):
    if (*context, word) in counts:
        return 0.4**steps * counts[*context, word] / counts[()]
    return share_of_all(counts, context[1:], word, steps + 1) if context else 0.0


@mistake("01.backoff", "not which share")
def no_division(counts, context, word):
    if (*context, word) in counts:
        return counts[*context, word]
    return 0.4 * no_division(counts, context[1:], word) if context else 0.0


@mistake("01.backoff", "only if the *context* was never seen")
def looks_for_the_context(counts, context, word):
    if context in counts:
        return counts.get((*context, word), 0) / counts[context]
    return 0.4 * looks_for_the_context(counts, context[1:], word)


@mistake("01.backoff", "has no context, you return")
def starts_at_one_word(counts, context, word):
    return 0.1 if not context else back_off(counts, context, word)


# --- 01.sampler -------------------------------------------------------------------------------------------------


def cut(shaped, top_k, largest=True):
    chosen = torch.zeros_like(shaped).index_fill(0, shaped.topk(top_k, largest=largest).indices, 1)
    return shaped * chosen / (shaped * chosen).sum()


mistake("01.sampler", "has no effect")(lambda p, t, k: cut(p / t, k))
mistake("01.sampler", "has no effect")(lambda p, t, k: cut(p, k))
mistake("01.sampler", "upside down")(lambda p, t, k: cut(p**t, k))
mistake("01.sampler", "softmax of probabilities")(lambda p, t, k: cut((p / t).softmax(0), k))
mistake("01.sampler", "equally probable")(lambda p, t, k: cut(torch.ones_like(p) + 1e-9 * p, k) if k == 8 else
                                          (cut(p, k) > 0) / k)  # fmt: skip
mistake("01.sampler", "8 tokens can still be drawn")(lambda p, t, k: (p.log() / t).softmax(0))
mistake("01.sampler", "exactly the most probable are kept")(lambda p, t, k: cut(p ** (1 / t), min(8, k + 1)))
mistake("01.sampler", "only 3 tokens can be drawn")(lambda p, t, k: cut(p ** (1 / t), max(1, k - 1)))
mistake("01.sampler", "others than the most probable")(lambda p, t, k: cut(p ** (1 / t), k, largest=False))
mistake("01.sampler", "Yours sum to")(lambda p, t, k: cut(p, k).ne(0) * p ** (1 / t))
mistake("01.sampler", "without saying whose")(lambda p, t, k: (p.topk(k).values.log() / t).softmax(0))
mistake("01.sampler", "a token that was drawn")(lambda p, t, k: 3)
mistake("01.sampler", "a token that was drawn")(lambda p, t, k: torch.multinomial(p, 1))
mistake("01.sampler", "none can be below 0")(lambda p, t, k: p.log() / t)
mistake("01.sampler", "it should be")(lambda p, t, k: cut(p ** (1 / (t + 1)), k))
mistake("01.sampler", "`nan`")(lambda p, t, k: torch.full_like(p, torch.nan))


@mistake("01.sampler", "changed its input")
def in_place(probabilities, temperature, top_k):
    probabilities.pow_(1 / temperature)
    return cut(probabilities, top_k)


# --- 01.perplexity ----------------------------------------------------------------------------------------------

mistake("01.perplexity", "mean of the probabilities")(lambda p: 1 / p.mean())
mistake("01.perplexity", "itself, in nats")(lambda p: -p.log().mean())
mistake("01.perplexity", "itself, in bits")(lambda p: -p.log2().mean())
mistake("01.perplexity", "sign is turned")(lambda p: p.log().mean().exp())
mistake("01.perplexity", "added the surprises up")(lambda p: -p.log().sum())
mistake("01.perplexity", "multiplied all")(lambda p: (-p.log().sum()).exp())
mistake("01.perplexity", "e goes with `log`")(lambda p: 2 ** (-p.log().mean()))
mistake("01.perplexity", "2 goes with `log2`")(lambda p: (-p.log2().mean()).exp())
mistake("01.perplexity", "one divided by each")(lambda p: (1 / p).mean())
mistake("01.perplexity", "it should be 5.7")(lambda p: 10 ** (-p.log().mean()))
mistake("01.perplexity", "tensor of shape")(lambda p: (-p.log()).exp())


@pytest.mark.parametrize("id, sentence, learner", MISTAKES)
def test_each_mistake_gets_its_own_sentence(id, sentence, learner):
    exercise = EXERCISES[id].check(learner)
    assert exercise.outcome == "incorrect" and sentence in exercise.message, exercise.message


# --- The solutions are what the course's own code does ----------------------------------------------------------


def test_the_sampler_draws_as_generate_does():
    probabilities = torch.randn(50, generator=torch.Generator().manual_seed(0)).softmax(dim=0)
    for temperature, top_k in ((0.6, 5), (1.4, 40)):
        expected = next_token_logits(probabilities.log(), temperature, top_k).softmax(dim=0)
        torch.testing.assert_close(lesson_01.my_sampler(probabilities, temperature, top_k), expected)


def test_perplexity_is_that_of_the_counting_model():
    text = torch.tensor([1, 2, 3, 2, 4, 1, 2, 3, 1])
    model = NGram(2, vocab_size=5).fit(text)
    given = torch.stack([model.probabilities(text[:place])[text[place]] for place in range(1, len(text))])
    expected = math.exp(-float(model.log_probabilities(text)[1:].mean()))
    assert lesson_01.my_perplexity(given) == pytest.approx(expected, rel=1e-4)


def test_the_counts_that_backing_off_is_tried_on():
    counts = lesson_01._counted("a b a b c".split())
    assert counts[()] == 5 and counts["a",] == 2 and counts["a", "b"] == 2 and counts["b", "c"] == 1
    assert lesson_01.my_backoff(counts, ("b", "a"), "b") == 1 / 1 and lesson_01.my_backoff(
        counts, ("c",), "a"
    ) == pytest.approx(0.16)
