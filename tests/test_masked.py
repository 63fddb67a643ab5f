"""Masked language modelling."""

import math
from dataclasses import replace

import pytest
import torch

from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import MaskedLMConfig, MaskedLMTrainer

TINY = TransformerConfig(vocab_size=16, context_length=16, n_layer=1, n_head=2, n_kv_head=1, n_embd=16, causal=False)
MASK, SPECIAL = 15, 14
COUNTING = torch.arange(4000) % 13


def trainer(tokens=COUNTING, **config) -> MaskedLMTrainer:
    settings = MaskedLMConfig(**{"batch_size": 8, "sequence_length": 16, "eval_every": 20, **config})
    model = Transformer(TINY, torch.Generator().manual_seed(0))
    return MaskedLMTrainer(model, tokens, MASK, settings, validation=COUNTING[:500], special_ids=(SPECIAL, MASK))


def test_it_learns_to_fill_blanks_from_both_sides():
    masked = trainer()
    history = masked.run(200, progress=False)
    assert history[-1]["eval_loss"] < 0.5 < history[19]["eval_loss"]
    model = masked.model.eval()
    for text in ([MASK, 5, 6, 7, 8, 9], [4, 5, 6, MASK, 8, 9], [4, 5, 6, 7, 8, MASK]):
        where = text.index(MASK)
        assert int(model(torch.tensor([text]))[0, where].argmax()) == 4 + where


def watched(masked: MaskedLMTrainer) -> list[torch.Tensor]:
    """All that the model will read, in a list that grows."""
    seen, trunk = [], masked.model.trunk
    masked.model.trunk = lambda ids: seen.append(ids) or trunk(ids)
    return seen


def test_only_hidden_tokens_count_and_special_ones_are_never_hidden():
    masked = trainer(mask_rate=0.5)
    seen = watched(masked)
    batch = (torch.arange(17) % 13).repeat(64, 1)
    batch[:, 3] = SPECIAL
    masked.loss(batch)
    hidden = seen[0] == MASK
    assert not hidden[:, 3].any()
    assert float(hidden.float().mean()) == pytest.approx(0.5 * 15 / 16, abs=0.05)
    assert torch.equal(seen[0][~hidden], batch[:, :-1][~hidden])


def test_at_least_one_token_of_a_small_batch_is_hidden():
    masked = trainer(batch_size=1, sequence_length=8)
    seen = watched(masked)
    history = masked.run(60, progress=False)
    assert all(math.isfinite(metrics["loss"]) for metrics in history)
    counts = [int((ids == MASK).sum()) for ids in seen]
    assert min(counts) == 1 and max(counts) > 2
    seen.clear()
    for _ in range(20):
        masked.loss(torch.tensor([[SPECIAL, 5, SPECIAL, 0]]))
    assert all(ids.tolist() == [[SPECIAL, MASK, SPECIAL]] for ids in seen)
    assert math.isfinite(masked.loss(torch.full((1, 4), SPECIAL)).item())


def test_a_causal_model_cannot_learn_to_fill_blanks():
    with pytest.raises(ValueError, match="only a masked model .* this one is causal"):
        MaskedLMTrainer(Transformer(replace(TINY, causal=True)), COUNTING, MASK)


def test_hiding_nothing_is_an_error():
    with pytest.raises(ValueError, match="mask_rate=0"):
        MaskedLMConfig(mask_rate=0)


def test_held_out_text_is_always_hidden_in_the_same_places():
    masked = trainer()
    assert masked.evaluate() == masked.evaluate()
    batch = COUNTING[:17].repeat(4, 1)
    assert masked.loss(batch).item() != masked.loss(batch).item()  # training text is hidden anew each time
