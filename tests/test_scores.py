"""Bits per byte: known cases by hand, every kind of model alike, and an interval that means what it says."""

import math

import pytest
import torch
from torch import nn

from lmcore import checkpoints
from lmcore.data.tokenizer import Tokenizer
from lmcore.evaluation import scores
from lmcore.evaluation.scores import bits_per_byte, pseudo_bits_per_byte
from lmcore.models import Transformer, TransformerConfig
from lmcore.models.ngram import NGram
from lmcore.models.recurrent import Recurrent, RecurrentConfig

TEXTS = ["Snow is white.", "A cat has four legs, and a dog has four legs too.", "Hi! How are you?", "Grüße aus Köln"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(checkpoints.SHIPPED / "tokenizer.json")


def tokens(tokenizer, text: str) -> list[int]:
    return [tokenizer.eot_id, *tokenizer.encode(text), tokenizer.eot_id]


def transformer(vocab_size: int = 4096, context_length: int = 32, causal: bool = True) -> Transformer:
    sizes = TransformerConfig(vocab_size, context_length, n_layer=2, n_head=2, n_kv_head=1, n_embd=16, causal=causal)
    model = Transformer(sizes, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():  # a fresh one is the same for every context
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model


class Uniform:
    """Finds every token equally likely."""

    def log_probabilities(self, ids):
        return torch.full((len(ids),), -math.log(4096))


class Fixed(nn.Module):
    """Gives the token 7 a probability of one half, whatever it reads, and shares the rest among the others."""

    config = RecurrentConfig(4096)

    def __init__(self):
        super().__init__()
        self.device = torch.device("cpu")
        chances = torch.full((4096,), 0.5 / 4095)
        chances[7] = 0.5
        self.logits = chances.log()

    def forward(self, ids):
        return self.logits.expand(*ids.shape, -1)


def test_equally_likely_tokens_cost_twelve_bits_each_and_the_end_is_paid_for(tokenizer):
    expected = 12 * sum(len(tokens(tokenizer, text)) - 1 for text in TEXTS) / sum(len(t.encode()) for t in TEXTS)
    assert bits_per_byte(Uniform(), TEXTS, tokenizer).value == pytest.approx(expected)


def test_a_network_by_hand(tokenizer):
    bits = sum(1 if token == 7 else math.log2(4095 / 0.5) for text in TEXTS for token in tokens(tokenizer, text)[1:])
    assert bits_per_byte(Fixed(), TEXTS, tokenizer).value == pytest.approx(
        bits / sum(len(t.encode()) for t in TEXTS), rel=1e-5
    )


@pytest.mark.parametrize("model", [transformer(context_length=64), Recurrent(RecurrentConfig(4096, n_hidden=16))])
def test_batches_and_padding_change_nothing(tokenizer, model, monkeypatch):
    expected = 0.0
    for text in TEXTS:
        ids = torch.tensor([tokens(tokenizer, text)])
        with torch.no_grad():
            expected += float(nn.functional.cross_entropy(model(ids[:, :-1])[0], ids[0, 1:], reduction="sum"))
    expected /= math.log(2) * sum(len(text.encode()) for text in TEXTS)
    for at_once in (1, 40, 4096):
        monkeypatch.setattr(scores, "TOKENS_AT_ONCE", at_once)
        assert bits_per_byte(model, TEXTS, tokenizer).value == pytest.approx(expected, rel=1e-5)


def test_a_long_document_is_read_in_windows_that_count_each_token_once(tokenizer):
    for length in (1, 7, 8, 9, 11, 12, 13, 100):
        windows = list(scores._overlapping(length, context=8))
        counted = [place for _, first, end in windows for place in range(first, end)]
        assert counted == list(range(length))
        assert all(0 <= start <= first and end - start <= 8 for start, first, end in windows)
        assert all(first - start >= 4 for start, first, _ in windows[1:])  # half a context before each token
    model, text = transformer(context_length=8), " ".join(TEXTS)
    ids = torch.tensor(tokens(tokenizer, text))
    nats = 0.0
    for start, first, end in scores._overlapping(len(ids) - 1, 8):
        with torch.no_grad():
            logprobs = model(ids[None, start:end])[0].log_softmax(-1)
        nats -= float(logprobs[first - start :].gather(1, ids[first + 1 : end + 1, None]).sum())
    assert len(ids) > 30
    assert bits_per_byte(model, [text], tokenizer).value == pytest.approx(
        nats / math.log(2) / len(text.encode()), rel=1e-5
    )


def test_a_recurrent_model_remembers_the_whole_document(tokenizer):
    model = Recurrent(RecurrentConfig(4096, n_hidden=16), torch.Generator().manual_seed(0))
    longest = []
    model.register_forward_hook(lambda _, ids, logits: longest.append(logits.size(1)))
    bits_per_byte(model, ["A cat has four legs. " * 100], tokenizer)
    assert max(longest) > 500


def test_an_ngram_pays_its_own_log_probabilities_and_documents_stand_alone(tokenizer):
    text = torch.tensor([token for document in TEXTS * 5 for token in tokens(tokenizer, document)[1:]])
    model = NGram(3, eot_id=tokenizer.eot_id).fit(text)
    together = bits_per_byte(model, TEXTS, tokenizer).value
    size = [len(document.encode()) for document in TEXTS]
    alone = [bits_per_byte(model, [document], tokenizer).value for document in TEXTS]
    assert together == pytest.approx(sum(a * b for a, b in zip(alone, size, strict=True)) / sum(size))
    assert together < 0.5 < bits_per_byte(model, ["Purple elephants vote on Tuesdays."], tokenizer).value


def test_the_interval_is_over_documents(tokenizer):
    one = bits_per_byte(Uniform(), TEXTS[:1], tokenizer)
    assert one.low == pytest.approx(one.value) == pytest.approx(one.high)  # one document drawn again is itself
    score = bits_per_byte(Uniform(), TEXTS, tokenizer)
    alone = [bits_per_byte(Uniform(), [text], tokenizer).value for text in TEXTS]
    assert min(alone) <= score.low < score.value < score.high <= max(alone)
    many = bits_per_byte(Uniform(), TEXTS * 16, tokenizer)
    assert many.value == pytest.approx(score.value)
    assert (many.high - many.low) < 0.4 * (score.high - score.low)  # four times narrower, but for chance
    assert bits_per_byte(Uniform(), TEXTS, tokenizer) == score


def test_a_masked_model_has_a_score_of_its_own_kind(tokenizer):
    model = transformer(causal=False)
    with pytest.raises(ValueError, match="must not be compared"):
        bits_per_byte(model, TEXTS, tokenizer)
    score = pseudo_bits_per_byte(model, TEXTS, tokenizer)
    assert not score.comparable and "not comparable" in str(score)
    assert bits_per_byte(Uniform(), TEXTS, tokenizer).comparable
    with pytest.raises(ValueError, match="causal=True"):
        pseudo_bits_per_byte(transformer(), TEXTS, tokenizer)


def test_pseudo_likelihood_by_hand_each_token_hidden_alone(tokenizer):
    model, nats = transformer(causal=False, context_length=64), 0.0
    for text in TEXTS:
        ids = tokens(tokenizer, text)
        for place in range(1, len(ids) - 1):
            row = torch.tensor([ids])
            row[0, place] = tokenizer.mask_id
            with torch.no_grad():
                nats -= float(model(row)[0, place].log_softmax(-1)[ids[place]])
    expected = nats / math.log(2) / sum(len(text.encode()) for text in TEXTS)
    assert pseudo_bits_per_byte(model, TEXTS, tokenizer, places=1000).value == pytest.approx(expected, rel=1e-5)


def test_pseudo_likelihood_in_windows_of_a_long_document(tokenizer):
    ids = torch.arange(100)
    rows = scores._windows_around(ids, torch.tensor([1, 50, 98]), context=10)
    assert rows[:, 0].tolist() == [0, 45, 90] and rows.shape == (3, 10)
    score = pseudo_bits_per_byte(transformer(causal=False, context_length=16), [" ".join(TEXTS)], tokenizer, places=4)
    assert math.isfinite(score.value)


@pytest.mark.parametrize("texts, says", [([], "no documents"), (["a", ""], "document 1 is empty"), ("text", "a list")])
def test_what_cannot_be_scored_is_said(tokenizer, texts, says):
    for score in (lambda: bits_per_byte(Uniform(), texts, tokenizer),
                  lambda: pseudo_bits_per_byte(transformer(causal=False), texts, tokenizer)):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            score()


def test_scoring_leaves_the_model_as_it_was(tokenizer):
    model = transformer().train()
    bits_per_byte(model, TEXTS[:1], tokenizer)
    assert model.training and all(parameter.grad is None for parameter in model.parameters())


def test_half_a_character_has_a_size_too(tokenizer):
    assert bits_per_byte(Uniform(), ["a\ud83d"], tokenizer).value > 0


def test_the_shipped_gpt_needs_little_more_than_half_of_a_guess(tokenizer):
    base = checkpoints.load("base")
    guess = bits_per_byte(Uniform(), TEXTS[:3], tokenizer).value
    assert bits_per_byte(base.model, TEXTS[:3], tokenizer).value < 0.6 * guess
