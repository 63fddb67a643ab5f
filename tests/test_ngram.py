"""The counting model: against counts made by hand, against a plain reference, and on the human chat."""

import math
import time
from collections import Counter, defaultdict

import pytest
import torch

from lmcore.data import corpus
from lmcore.models import NGram

EOT, A, B, C = 1, 2, 3, 4  # in a vocabulary of 5; token 0 is never seen
TEXT = torch.tensor([EOT, A, B, A, B, C, EOT, B, A, EOT, A, C, EOT])
SMOOTHINGS = ("kneser-ney", "backoff")
both_smoothings = pytest.mark.parametrize("smoothing", SMOOTHINGS)


# --- By hand ----------------------------------------------------------------------------------------------------


def test_counts_by_hand():
    model = NGram(3, vocab_size=5).fit(TEXT)
    assert [model.count([token]) for token in (0, EOT, A, B, C)] == [0, 3, 4, 3, 2]  # the first EOT was given
    assert model.count([A, B]) == 2 and model.count([B, A]) == 2 and model.count([C, A]) == 0
    assert model.count([EOT, A]) == 2 and model.count([EOT, A, B]) == 1 and model.count([A, EOT]) == 1
    assert model.count([A, EOT, A]) == 0, "a text is no context of the next one"


def test_unigrams_by_hand():
    # Weights EOT 3, A 4, B 3, C 2 of 12. No discount can be estimated (nothing came once): 0.5, 1, 1.5, so 1.5, 1.5,
    # 1.5 and 1 are taken, 5.5 in all, and shared out evenly among five tokens.
    expected = torch.tensor([0, 1.5, 2.5, 1.5, 1]) / 12 + 5.5 / 12 / 5
    torch.testing.assert_close(NGram(1, vocab_size=5).fit(TEXT).probabilities([]), expected)
    # Backing off takes 0.5 from each, 2 in all, and gives it to the only token that was never seen.
    expected = torch.tensor([2, 2.5, 3.5, 2.5, 1.5]) / 12
    torch.testing.assert_close(NGram(1, vocab_size=5, smoothing="backoff").fit(TEXT).probabilities([]), expected)


def test_kneser_ney_bigrams_by_hand():
    # Different tokens before A: EOT, B; before B: A, EOT; before C: B, A; before EOT: C, A. Two each, 8 in all: one is
    # taken from each (0.5, 1, 1.5), and 4/8 shared out among five tokens: 1/8 + 1/10 for each that was seen.
    model = NGram(2, vocab_size=5).fit(TEXT)
    lower = torch.tensor([0, 1, 1, 1, 1]) / 8 + 0.1
    torch.testing.assert_close(model.probabilities([]), lower)
    # Bigrams: EOT A 2, A B 2, B A 2, C EOT 2; EOT B, A EOT, A C, B C 1 each. Nothing came three times: 0.5, 1, 1.5.
    after_a = torch.tensor([0, 0.5, 0, 2 - 1, 0.5]) / 4 + 2 / 4 * lower
    torch.testing.assert_close(model.probabilities([A]), after_a)
    torch.testing.assert_close(model.probabilities([C, B, A]), after_a)  # only the last token matters
    torch.testing.assert_close(model.probabilities([0]), lower)  # never seen: the shorter context speaks


def test_backoff_bigrams_by_hand():
    # Four bigrams came once and four twice: the discount is 4 / (4 + 2 * 4) = 1/3.
    model = NGram(2, vocab_size=5, smoothing="backoff").fit(TEXT)
    never, eot, a, b, c = torch.tensor([2, 2.5, 3.5, 2.5, 1.5]) / 12
    left = 3 * (1 / 3) / 4 / (never + a)  # after A came EOT, B and C
    expected = [left * never, (1 - 1 / 3) / 4, left * a, (2 - 1 / 3) / 4, (1 - 1 / 3) / 4]
    assert model.probabilities([A]).tolist() == pytest.approx([float(value) for value in expected])


def test_modified_discounts_by_hand():
    # 4 tokens once, 3 twice, 2 three times, 1 four times: Y = 4 / (4 + 6) = 0.4.
    tokens = [
        token for times, kinds in ((1, 4), (2, 3), (3, 2), (4, 1)) for token in range(kinds) for _ in range(times)
    ]
    text = [EOT] + [
        2 + 10 * n + token for n, times in enumerate((1, 2, 3, 4)) for token in range(5 - times) for _ in range(times)
    ]
    assert len(text) == len(tokens) + 1
    model = NGram(1, vocab_size=100).fit(torch.tensor(text))
    taken = [0, 1 - 2 * 0.4 * 3 / 4, 2 - 3 * 0.4 * 2 / 3, 3 - 4 * 0.4 * 1 / 2]
    floor = sum(kinds * taken[min(times, 3)] for times, kinds in ((1, 4), (2, 3), (3, 2), (4, 1))) / 20 / 100
    found = model.probabilities([])
    for n, times in enumerate((1, 2, 3, 4)):
        assert float(found[2 + 10 * n]) == pytest.approx((times - taken[min(times, 3)]) / 20 + floor)


# --- Against a plain reference ----------------------------------------------------------------------------------


class Reference:
    """The same formulas, one dictionary a context and no arrays."""

    def __init__(self, tokens, order, vocab_size, smoothing):
        self.order, self.vocab_size, self.smoothing = order, vocab_size, smoothing
        raw = [Counter() for _ in range(order + 1)]
        for end in range(len(tokens)):
            for n in range(1, order + 1):
                ngram = tuple(tokens[end - n + 1 : end + 1])
                if end >= n - 1 and (end or n > 1) and EOT not in ngram[1:-1]:
                    raw[n][ngram] += 1
        self.weights = defaultdict(Counter)  # context -> token -> weight
        self.discounts = {}
        for n in range(1, order + 1):
            weights = dict(raw[n])
            if smoothing == "kneser-ney" and n < order:
                before = Counter(ngram[1:] for ngram in raw[n + 1])
                weights = {g: raw[n][g] if n > 1 and g[0] == EOT else before[g] for g in raw[n]}
            for ngram, weight in weights.items():
                if weight:
                    self.weights[ngram[:-1]][ngram[-1]] = weight
            one, two, three, four = (sum(weight == times for weight in weights.values()) for times in (1, 2, 3, 4))
            if smoothing == "backoff":
                self.discounts[n] = [one / (one + 2 * two) if one and two else 0.5] * 3
                continue
            self.discounts[n] = [0.5, 1, 1.5]
            if one and two and three:
                y = one / (one + 2 * two)
                found = [1 - 2 * y * two / one, 2 - 3 * y * three / two, 3 - 4 * y * four / three]
                self.discounts[n] = found if min(found) > 0 else self.discounts[n]

    def probabilities(self, context):
        context = tuple(context)[max(0, len(context) - self.order + 1) :]
        while EOT in context[1:]:
            context = context[1:]
        below = self.probabilities(context[1:]) if context else [1 / self.vocab_size] * self.vocab_size
        seen = self.weights[context]
        if not seen:
            return below
        discount = {w: self.discounts[len(context) + 1][min(count, 3) - 1] for w, count in seen.items()}
        total, left = sum(seen.values()), sum(discount.values())
        if self.smoothing == "kneser-ney":
            return [(seen[w] - discount.get(w, 0)) / total + left / total * below[w] for w in range(self.vocab_size)]
        if len(seen) == self.vocab_size:
            return [seen[w] / total for w in range(self.vocab_size)]
        scale = left / total / (1 - sum(below[w] for w in seen))
        return [(seen[w] - discount[w]) / total if w in seen else scale * below[w] for w in range(self.vocab_size)]


def random_text(length, vocab_size, seed):
    """Tokens of which some are frequent and some rare, with end-of-text tokens between."""
    generator = torch.Generator().manual_seed(seed)
    tokens = (torch.rand(length, generator=generator) ** 2 * vocab_size).long()
    return torch.cat([torch.tensor([EOT]), tokens, torch.tensor([EOT])])


@both_smoothings
@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(("length", "vocab_size"), [(25, 5), (600, 8), (3000, 30)])
def test_equals_a_plain_reference(order, smoothing, length, vocab_size):
    text, other = (random_text(length, vocab_size, seed) for seed in (0, 1))
    model = NGram(order, vocab_size, smoothing).fit(text)
    reference = Reference(text.tolist(), order, vocab_size, smoothing)
    found = model.log_probabilities(other[:200])
    for place in range(0, min(200, len(other)), 3):
        context = other[max(0, place - 7) : place].tolist()
        expected = reference.probabilities(context)
        assert model.probabilities(context).tolist() == pytest.approx(expected, rel=1e-4, abs=1e-7)
        if place < order:
            continue  # the model itself was not told what stood before
        assert math.exp(found[place]) == pytest.approx(expected[other[place]], rel=1e-4)


@both_smoothings
def test_a_context_that_everything_has_followed(smoothing):
    text = torch.tensor([EOT, 0, 0, 0, 2, 0, 3, 0, 1, 0, 0, 2, 2, 3, EOT])  # after 0 came 0, 1, 2 and 3: all there are
    model = NGram(3, 4, smoothing).fit(text)
    assert model.probabilities([0]).tolist() == pytest.approx(
        Reference(text.tolist(), 3, 4, smoothing).probabilities([0])
    )
    assert float(model.probabilities([0]).sum()) == pytest.approx(1)


# --- What must always be so -------------------------------------------------------------------------------------


@both_smoothings
@pytest.mark.parametrize("order", [1, 2, 4])
def test_probabilities_sum_to_one_and_none_is_zero(order, smoothing):
    model = NGram(order, 40, smoothing).fit(random_text(500, 30, seed=2))  # ten tokens are never seen
    for context in ([], [EOT], [5], [39], [3, EOT], [7, 2, 2], [39, 39, 2], list(range(30))):
        found = model.probabilities(context)
        assert float(found.sum()) == pytest.approx(1, abs=1e-5) and float(found.min()) > 0


@both_smoothings
def test_log_probabilities_are_the_probabilities(smoothing):
    model, text = NGram(3, 30, smoothing).fit(random_text(2000, 30, seed=3)), random_text(60, 30, seed=4)
    found = model.log_probabilities(text)
    for place in range(len(text)):
        expected = model.probabilities(text[:place])[text[place]]
        assert float(found[place]) == pytest.approx(math.log(expected), rel=1e-4)


@both_smoothings
def test_no_context_reaches_across_the_end_of_a_text(smoothing):
    model = NGram(4, 30, smoothing).fit(random_text(3000, 30, seed=5))
    for before in ([], [7], [7, 3, 9], [EOT]):
        assert torch.equal(model.probabilities([*before, EOT]), model.probabilities([EOT]))
        assert torch.equal(model.probabilities([*before, EOT, 4]), model.probabilities([EOT, 4]))
    assert not torch.equal(model.probabilities([EOT, 4]), model.probabilities([4])), "that a text begins is known"
    assert not torch.equal(model.probabilities([7, 4]), model.probabilities([4]))


def test_a_text_without_its_first_end_of_text_token_is_the_same():
    with_it, without = NGram(3, 5).fit(TEXT), NGram(3, 5).fit(TEXT[1:])
    for context in ([], [A], [EOT], [EOT, A], [B, A]):
        assert torch.equal(with_it.probabilities(context), without.probabilities(context))


@both_smoothings
def test_a_text_that_breaks_off(smoothing):
    model = NGram(3, 5, smoothing).fit(torch.tensor([EOT, A, B, A, C]))  # nothing came after C, and no text ended
    reference = Reference([EOT, A, B, A, C], 3, 5, smoothing)
    for context in ([], [C], [A, C], [A]):
        found = model.probabilities(context)
        assert found.tolist() == pytest.approx(reference.probabilities(context)) and float(found.min()) > 0


def test_known_context_by_hand():
    model = NGram(4, 5).fit(TEXT)
    #                                      -  EOT  A B A: three   B A C: A C was seen, B A C not   0
    assert model.known_context(torch.tensor([EOT, A, B, A, C, 0, B])).tolist() == [0, 1, 2, 3, 3, 2, 0]
    assert model.known_context(torch.tensor([A, EOT, A])).tolist() == [0, 1, 1]


def test_fitting_again_forgets():
    model = NGram(3, 5).fit(torch.tensor([EOT, C, C, C, B, EOT])).fit(TEXT)
    assert torch.equal(model.probabilities([C]), NGram(3, 5).fit(TEXT).probabilities([C]))


def test_lists_and_both_kinds_of_integers_are_welcome():
    model = NGram(3, 5).fit(TEXT.int())
    assert torch.equal(model.probabilities([EOT, A]), model.probabilities(torch.tensor([EOT, A], dtype=torch.int32)))
    assert model.probabilities([A]).dtype == model.log_probabilities([A, B]).dtype == torch.float32
    assert model.log_probabilities([]).shape == (0,)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: NGram(0), "order=0"),
        (lambda: NGram(2, smoothing="laplace"), "'laplace' is unknown: there are kneser-ney, backoff"),
        (lambda: NGram(2).probabilities([3]), "call fit"),
        (lambda: NGram(2, 5).fit(torch.tensor([])), "nothing to count"),
        (lambda: NGram(2, 5).fit(torch.tensor([EOT, 5])), "no token 5: they are numbered from 0 to 4"),
        (lambda: NGram(3, 5).fit([A]), "order=3: nowhere in this text do 3 tokens stand in a row; lower it"),
        (lambda: NGram(4, 5).fit([EOT, A, EOT, B]), "nowhere in this text do 4 tokens stand in a row"),
        (lambda: NGram(2, 5).fit(TEXT).probabilities([-1]), "no token -1"),
        (lambda: NGram(2, 5).fit(TEXT).count([A, B, C]), "3 tokens: this model counts 1 to 2 in a row"),
    ],
)
def test_errors_say_what_happened(action, message):
    with pytest.raises(ValueError, match=message):
        action()


# --- On the human chat ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chat():
    from lmcore import checkpoints
    from lmcore.data.mixtures import as_tokens

    tokenizer = checkpoints.load("base").tokenizer
    texts = corpus.chitchat()
    return as_tokens(texts["train"]["text"][:700], tokenizer), as_tokens(texts["validation"]["text"][:60], tokenizer)


def test_longer_contexts_help_on_new_text_and_kneser_ney_beats_backing_off(chat):
    text, new = chat
    loss = {(order, smoothing): -float(NGram(order, 4096, smoothing).fit(text).log_probabilities(new)[1:].mean())
            for order in (1, 2, 3) for smoothing in SMOOTHINGS}  # fmt: skip
    for smoothing in SMOOTHINGS:
        assert loss[1, smoothing] - 1.5 > loss[2, smoothing] > loss[3, smoothing] + 0.1
    assert loss[3, "kneser-ney"] < loss[3, "backoff"] - 0.05


def test_fast_enough_not_to_be_felt(chat):
    text, new = chat
    started = time.process_time()
    model = NGram(5).fit(text)
    assert time.process_time() - started < 3e-5 * len(text)  # a million tokens in much less than 30 s of computing
    started = time.process_time()
    for end in range(6, 106):
        model.probabilities(new[end - 6 : end])
    assert (time.process_time() - started) / 100 < 5e-3
