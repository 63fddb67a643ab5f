"""Exercises of lesson 01: backing off to a shorter context, drawing the next token, and perplexity.

from exercises.lesson_01 import backoff
backoff.check(my_backoff)
"""

import math
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from exercises import expect
from widgets.exercise import Exercise, Misconception

# --- Backing off ------------------------------------------------------------------------------------------------


def my_backoff(counts, context, word):
    """Score of `word` after `context`: counts {tuple of words: how often}, counts[()] is the length of the text."""
    times = counts.get((*context, word), 0)
    if times:
        return times / counts[context]
    if not context:
        return 0.0
    return 0.4 * my_backoff(counts, context[1:], word)  # the farthest word is forgotten first


_TEXT = "the cat sat on the mat and the dog sat on the cat and the cat ran on and on".split()
_ASKED = [
    (("the",), "cat", "was seen"),
    (("on", "the"), "cat", "was seen"),
    ((), "on", "has no context"),
    (("the",), "sat", "was never seen, but its last word was"),
    (("dog", "the"), "mat", "was never seen: `dog the` never stood there, but `the mat` did"),
    (("cat", "sat"), "the", "was seen, but never before `the`"),
    (("mat", "sat", "dog"), "ran", "was never seen, nor was `sat dog`, nor `dog ran`"),
    (("the", "cat"), "flew", "was seen, but nothing in the text ever flew"),
]


def _counted(text: list[str], longest: int = 4) -> dict[tuple[str, ...], int]:
    """How often each 0 to `longest` words stand in a row."""
    rows = ((n, range(len(text) - n + 1)) for n in range(1, longest + 1))
    return {(): len(text)} | Counter(tuple(text[start : start + n]) for n, starts in rows for start in starts)


def _backing_off(shorter: Callable, factor: Callable, divide: Callable, give_up: bool = False) -> Callable:
    """A way to back off, wrong or right: which context is next, the factor after some steps, what counts divide by."""

    def score(counts, context, word, steps=0):
        times = counts.get((*context, word), 0)
        if times:
            return factor(steps) * times / divide(counts, context)
        if not context or (give_up and context in counts):
            return 0.0
        return score(counts, shorter(context), word, steps + 1)

    return score


def _drop_first(context):
    return context[1:]


def _times_seen(counts, context):
    return counts[context]


_BACKOFF_MISTAKES = {
    "Your shorter context has lost the wrong word. The *nearest* words tell most, so the farthest one goes first: "
    "`context[1:]`.": _backing_off(lambda context: context[:-1], lambda steps: 0.4**steps, _times_seen),
    "You give the shorter context full credit. Each step back costs a factor of 0.4; otherwise a guess from one word "
    "counts as much as one from three.": _backing_off(_drop_first, lambda steps: 1, _times_seen),
    "You pay the factor of 0.4 once too often: an n-gram that was seen is worth its share, without any "
    "factor.": _backing_off(_drop_first, lambda steps: 0.4 ** (steps + 1), _times_seen),
    "You pay 0.4 only once, however far you step back. *Each* step costs a factor of 0.4.": _backing_off(
        _drop_first, lambda steps: 0.4 ** min(steps, 1), _times_seen
    ),
    "You divide by the length of the text. The share is among the times that the *context* was seen: "
    "`counts[context]`.": _backing_off(_drop_first, lambda steps: 0.4**steps, lambda counts, context: counts[()]),
    "You returned how often it was seen, not which share of its context that is: divide by "
    "`counts[context]`.": _backing_off(_drop_first, lambda steps: 0.4**steps, lambda counts, context: 1),
    "You step back only if the *context* was never seen. It is the whole n-gram that counts: a context may be well "
    "known, and still never have stood before this word.": _backing_off(
        _drop_first, lambda steps: 0.4**steps, _times_seen, give_up=True
    ),
    "You jump to no context at all. Leave out one word at a time: the next shorter context may have been "
    "seen.": _backing_off(lambda context: (), lambda steps: 0.4**steps, _times_seen),
    "You do not step back at all: where an n-gram was never seen, your score is 0.": lambda counts, context, word: (
        counts.get((*context, word), 0) / max(1, counts.get(context, 0))
    ),
}


def _check_backoff(learner) -> str:
    counts = _counted(_TEXT)
    scores = [expect.number(learner(dict(counts), context, word), "a score, one number") for context, word, _ in _ASKED]
    expected = [my_backoff(counts, context, word) for context, word, _ in _ASKED]
    if torch.allclose(torch.tensor(scores), torch.tensor(expected), atol=1e-6):
        return f"Right in {len(_ASKED)} cases, from a context that was seen to one that nobody ever wrote."
    for sentence, mistake in _BACKOFF_MISTAKES.items():
        if torch.allclose(torch.tensor(scores), torch.tensor([mistake(counts, c, w) for c, w, _ in _ASKED]), atol=1e-6):
            raise Misconception(sentence)
    for (context, word, what), found, right in zip(_ASKED, scores, expected, strict=True):
        if not abs(found - right) < 1e-6:
            said = " ".join(context)
            where = f"`{word}` after `{said}`, which {what}" if context else f"`{word}`, which {what}"
            raise Misconception(f"For {where}, you return {found:.4f}; it should be {right:.4f}.")


backoff = Exercise(
    "01.backoff",
    question="""
        A model that has read two trillion words (Brants et al. 2007) has no time for fine smoothing. It uses **stupid
        backoff** (that is its name):

        - was the context, with the word after it, ever seen? Then the score is its share:
          `counts[(*context, word)] / counts[context]`
        - if not, forget the farthest word of the context and try again, for 0.4 times the score
        - without any context left, a word that was never seen scores 0

        `context` is a tuple of words, perhaps an empty one; the keys of `counts` are such tuples, and `counts[()]` is
        the length of the text. Return one number.
        """,
    check=_check_backoff,
    hints=[
        "A tuple with one more word at its end is `(*context, word)`; `counts.get(key, 0)` is 0 for what was never "
        "seen.",
        "Three cases, in this order: the n-gram was seen; there is no context left; neither. In the third, the "
        "function may call itself.",
        "`context[1:]` is the context without its farthest word.",
    ],
    solution=my_backoff,
)


# --- What is drawn from -----------------------------------------------------------------------------------------


def my_sampler(probabilities, temperature, top_k):
    """The probabilities to draw from: (V,) -> (V,), shaped by the temperature, all but the top_k most probable at 0."""
    shaped = probabilities ** (1 / temperature)  # the same as softmax(log p / temperature)
    least = shaped.topk(top_k).values[-1]
    shaped = torch.where(shaped >= least, shaped, 0)
    return shaped / shaped.sum()


def _check_sampler(learner) -> str:
    generator = torch.Generator().manual_seed(1)
    for temperature, top_k in ((0.5, 4), (1.0, 3), (2.0, 8), (0.7, 1)):
        probabilities = (1.5 * torch.randn(8, generator=generator)).softmax(dim=0)
        found = learner(probabilities, temperature, top_k)
        whole = isinstance(found, Tensor) and found.numel() == 1 and not found.is_floating_point()
        if isinstance(found, (int, float)) or whole or (isinstance(found, Tensor) and not found.dim()):
            raise Misconception(
                "You returned one number: a token that was drawn? The probabilities to draw from are asked for, all of "
                "them, `(V,)`."
            )
        if isinstance(found, Tensor) and found.shape == (top_k,) and top_k < 8:
            raise Misconception(
                f"You returned the {top_k} that are kept, without saying whose they are. All tokens keep their places: "
                "`(V,)`, with 0 for those that are cut away."
            )
        found = expect.tensor(found, (8,), called="result").double()
        expected = my_sampler(probabilities, temperature, top_k).double()
        if expect.close(found, expected):
            continue
        _name_the_draw(found, probabilities.double(), temperature, top_k)
        place = int((found - expected).abs().argmax())
        raise Misconception(
            f"With temperature {temperature:g} and top_k {top_k}, a token of probability "
            f"{float(probabilities[place]):.3f} gets {float(found[place]):.3f}; it should be "
            f"{float(expected[place]):.3f}."
        )
    return "Right for four temperatures and cuts. `torch.multinomial(yours, 1)` draws from it: that is a sampler."


def _name_the_draw(found: Tensor, probabilities: Tensor, temperature: float, top_k: int) -> None:
    if (found < 0).any():
        raise Misconception(f"One of your probabilities is {float(found.min()):.2f}: none can be below 0.")
    kept = int((found > 0).sum())
    most = torch.zeros(8, dtype=torch.bool).index_fill(0, probabilities.topk(top_k).indices, True)
    if kept > top_k:
        where = "exactly the most probable are kept" if top_k > 1 else "only the most probable one is kept"
        raise Misconception(f"{kept} tokens can still be drawn, with top_k {top_k}: {where}, all others get 0.")
    if kept < top_k:
        raise Misconception(f"With top_k {top_k}, only {kept} tokens can be drawn: {top_k} should be kept.")
    if not torch.equal(found > 0, most):
        raise Misconception("You kept others than the most probable tokens: `topk` finds the largest ones.")
    if not expect.close(found.sum(), torch.ones(())):
        raise Misconception(
            f"Yours sum to {float(found.sum()):.2f}. After the temperature, and after the cut, what is left must be "
            "divided by its sum: last of all."
        )

    def cut(shaped: Tensor) -> Tensor:
        return shaped * most / (shaped * most).sum()

    mistakes = {
        "The temperature has no effect. Dividing *probabilities* by it cancels out when they are made to sum to 1; it "
        "divides their logarithms.": probabilities,
        "Your temperature works upside down: above 1 it should make the draw more even, below 1 more certain. The "
        "exponent is `1 / temperature`.": probabilities**temperature,
        "You took the softmax of probabilities. Softmax expects logarithms: `softmax(log p / temperature)`.": (
            probabilities / temperature
        ).softmax(dim=0),
        "All that you keep are equally probable. They should keep their proportions, as the temperature has shaped "
        "them.": torch.ones(8),
    }
    expect.none_of(found, {sentence: cut(shaped.double()) for sentence, shaped in mistakes.items()})


sampler = Exercise(
    "01.sampler",
    question="""
        A model gives probabilities; somebody must draw. The two knobs of every chat program:

        - **temperature**: divide the *logarithms* of the probabilities by it. Below 1 the probable gets more
          probable, above 1 all get more alike
        - **top-k**: only the `top_k` most probable tokens may be drawn, all others get 0

        Return the probabilities to draw from, `(V,)`, in the order of the tokens; they sum to 1. (No two of the
        probabilities are equal, and temperature is above 0.)
        """,
    check=_check_sampler,
    hints=[
        "Dividing a logarithm by T is the same as taking the number to the power of 1 / T.",
        "`shaped.topk(top_k).values[-1]` is the smallest that is kept. `torch.where(condition, shaped, 0)` keeps "
        "what meets the condition.",
        "Divide by the sum in the end: only then is it clear what is left.",
    ],
    solution=my_sampler,
)


# --- Perplexity -------------------------------------------------------------------------------------------------


def my_perplexity(probabilities):
    """Perplexity of a text: probabilities (N,), what the model gave to each token that really came -> one number."""
    return float(torch.exp(-probabilities.log().mean()))


def _check_perplexity(learner) -> str:
    texts = (torch.tensor([0.5, 0.1, 0.02, 0.9]), torch.full((7,), 0.125), torch.tensor([0.001]))
    for given in texts:
        found = expect.number(learner(given), "the perplexity, one number")
        bits, nats, right = -given.log2().mean(), -given.log().mean(), my_perplexity(given)
        if math.isclose(found, right, rel_tol=1e-4):
            continue
        shown = ", ".join(f"{p:g}" for p in given.tolist())
        mistakes = {
            "You took the mean of the probabilities. One impossible word would hardly count; perplexity takes the mean "
            "of their *logarithms*.": 1 / given.mean(),
            "You returned the mean surprise itself, in nats. Perplexity is e to the power of it: among how many "
            "equally likely tokens that is like choosing.": nats,
            "You returned the mean surprise itself, in bits. Perplexity is 2 to the power of it.": bits,
            "The sign is turned: a surprise is *minus* the logarithm. A perplexity is at least 1.": (-nats).exp(),
            "You added the surprises up. Then every text is more perplexing the longer it is; take their "
            "mean.": -given.log().sum(),
            "You multiplied all the probabilities. Then every text is more perplexing the longer it is; take the mean "
            "of the logarithms.": 1 / given.prod(),
            "Bits and nats are mixed: e goes with `log`, and 2 with `log2`.": nats.exp2(),
            "Bits and nats are mixed: 2 goes with `log2`, and e with `log`.": bits.exp(),
            "You took the mean of one divided by each probability. That is no perplexity: the mean goes over the "
            "logarithms.": (1 / given).mean(),
        }
        for sentence, wrong in mistakes.items():
            if math.isclose(found, float(wrong), rel_tol=1e-4) and not math.isclose(float(wrong), right, rel_tol=1e-4):
                raise Misconception(sentence)
        raise Misconception(f"For the probabilities {shown}, you return {found:.4g}; it should be {right:.4g}.")
    return "Right. Seven tokens that each had one chance in eight: perplexity 8, as it should be."


perplexity = Exercise(
    "01.perplexity",
    question="""
        The older way to tell a model's mean surprise: **perplexity**, among how many equally likely tokens the model
        chose, so to speak. A fair die has perplexity 6, and a loaded one less.

        You are given the probabilities that a model gave to the tokens that really came. Return e to the power of
        their mean surprise, one number; the surprise at a token, in nats, is minus the logarithm of its probability.
        """,
    check=_check_perplexity,
    hints=[
        "First the surprises, one a token; then their mean; then the power.",
        "`probabilities.log()` gives all natural logarithms at once.",
    ],
    solution=my_perplexity,
)
