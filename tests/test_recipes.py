"""How stages are made: the text that is read, and a training that was broken off."""

import pytest
import torch

from lmcore import checkpoints, recipes
from lmcore.data import almanac, mixtures
from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PretrainConfig, PretrainTrainer


def trainer() -> PretrainTrainer:
    sizes = TransformerConfig(vocab_size=16, context_length=16, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)
    model = Transformer(sizes, torch.Generator().manual_seed(0))
    return PretrainTrainer(model, torch.arange(400) % 13, PretrainConfig(batch_size=2, sequence_length=8))


def test_a_training_that_was_broken_off_goes_on_and_its_minutes_add_up(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    whole = trainer()
    whole.run(260, progress=False)

    first = trainer()
    steps, step = [], first.step

    def until_the_power_fails():
        if len(steps) == 255:
            raise KeyboardInterrupt
        steps.append(1)
        return step()

    first.step = until_the_power_fails
    with pytest.raises(KeyboardInterrupt):
        recipes.train(first, "tiny", 260)
    saved = tmp_path / "blank-to-chat" / "tiny.pt"
    state = torch.load(saved)
    assert state["trainer"]["steps_done"] == 250 and state["seconds"] > 0
    torch.save(state | {"seconds": 600.0}, saved)

    second = trainer()
    minutes = recipes.train(second, "tiny", 260)
    assert second.steps_done == 260 and 10 < minutes < 11
    for mended, plain in zip(second.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(mended, plain)

    third = trainer()  # the next part of its stage was broken off: this one is not done again
    assert recipes.train(third, "tiny", 260) == pytest.approx(minutes, abs=0.01)
    for again, plain in zip(third.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(again, plain)
    recipes.keep("stage", third.model, checkpoints.load("base").tokenizer, {}, tmp_path / "stages", parts=["tiny"])
    assert not saved.exists() and checkpoints.available(tmp_path / "stages") == ("stage",)


def test_all_documents_stand_between_end_of_text_tokens():
    tokenizer = checkpoints.load("base").tokenizer
    texts = ["A cat has four legs.", "Hi!\nHello <|endoftext|>"]
    ids = mixtures.as_tokens(texts, tokenizer).tolist()
    at = [place for place, token in enumerate(ids) if token == tokenizer.eot_id]
    assert at[0] == 0 and at[-1] == len(ids) - 1
    assert [tokenizer.decode(ids[a + 1 : b]) for a, b in zip(at, at[1:], strict=False)] == texts


def test_the_tokenizer_reads_no_tales():
    pages = almanac.documents(seed=1, tales=False)
    assert not [page for page, _ in zip(pages, range(3000), strict=False) if "Once upon a time" in page]
    told = almanac.documents(seed=1)
    assert [page for page, _ in zip(told, range(3000), strict=False) if "Once upon a time" in page]
