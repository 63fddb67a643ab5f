"""How stages are made: the text that is read, and a training that was broken off."""

import subprocess
import sys
from dataclasses import replace

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
        recipes.train(first, "tiny", 260, tmp_path)
    saved = tmp_path / "blank-to-chat" / "tiny.pt"
    state = torch.load(saved)
    assert state["trainer"]["steps_done"] == 250 and state["seconds"] > 0
    torch.save(state | {"seconds": 600.0}, saved)

    second = trainer()
    minutes = recipes.train(second, "tiny", 260, tmp_path)
    assert second.steps_done == 260 and 10 < minutes < 11
    for mended, plain in zip(second.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(mended, plain)

    third = trainer()  # the next part of its stage was broken off: this one is not done again
    assert recipes.train(third, "tiny", 260, tmp_path) == pytest.approx(minutes, abs=0.01)
    for again, plain in zip(third.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(again, plain)
    recipes.keep("stage", third.model, checkpoints.load("base").tokenizer, {}, tmp_path / "stages", parts=["tiny"])
    assert not saved.exists() and checkpoints.available(tmp_path / "stages") == ("stage",)


def other_directory(training, directory):
    return directory / "another"


def other_settings(training, directory):
    training.config = replace(training.config, learning_rate=0.001)


def other_text(training, directory):
    training.tokens = training.tokens.flip(0)


def other_weights(training, directory):
    with torch.no_grad():
        training.model.norm.weight.mul_(2)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (other_directory, "directory"),
        (other_settings, "settings"),
        (other_text, "weights or text"),
        (other_weights, "weights or text"),
    ],
)
def test_another_training_of_this_name_begins_anew_and_says_so(tmp_path, monkeypatch, capsys, change, named):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    recipes.train(trainer(), "tiny", 2, tmp_path)  # and broken off here: nobody keeps it
    plain, second = trainer(), trainer()
    change(plain, tmp_path)
    plain.run(3, progress=False)
    directory = change(second, tmp_path) or tmp_path
    recipes.train(second, "tiny", 3, directory)
    assert f"tiny: begins anew; what was broken off before is another training ({named})" in capsys.readouterr().out
    for anew, weights in zip(second.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(anew, weights)
    third = trainer()
    change(third, tmp_path)
    recipes.train(third, "tiny", 4, directory)
    assert "tiny: goes on from step 3" in capsys.readouterr().out


def test_half_precision_is_not_another_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    recipes.train(trainer(), "tiny", 2, tmp_path)
    second = trainer()
    second.config = replace(second.config, bfloat16=True)
    recipes.train(second, "tiny", 2, tmp_path)
    assert "tiny: goes on from step 2" in capsys.readouterr().out


def test_base_takes_the_tokenizer_that_other_stages_need(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recipes, "train_tokenizer", lambda: "a new one")
    assert recipes.shared_tokenizer(tmp_path / "new") == "a new one"
    model, tokenizer = trainer().model, checkpoints.load("base").tokenizer
    checkpoints.save("base", model, tokenizer, {}, tmp_path)
    assert recipes.shared_tokenizer(tmp_path) == "a new one"
    checkpoints.save("mlm", model, tokenizer, {}, tmp_path)
    assert recipes.shared_tokenizer(tmp_path).encode("Hello") == tokenizer.encode("Hello")
    assert "which other stages need" in capsys.readouterr().out


def test_a_stage_that_is_missing_ends_the_program_with_a_sentence(tmp_path):
    command = [sys.executable, "-m", "lmcore.recipes", "sft", "--out", str(tmp_path / "nowhere")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert run.stderr.startswith("Stopped.") and "base.safetensors is missing" in run.stderr


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
