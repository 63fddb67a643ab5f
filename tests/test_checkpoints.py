"""Saving and loading stages; what a damaged or missing file says."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.leaderboard import RECURRENT
from lmcore import checkpoints, recipes
from lmcore.checkpoints import CheckpointError
from lmcore.data.tokenizer import Tokenizer
from lmcore.models import RewardModel, Transformer, TransformerConfig

SHIPPED = ("base", "gru", "lstm", "mlm", "reward", "rlhf", "rlhf_ptx", "rnn", "sft", "small_rlhf")


@pytest.fixture
def saved(tmp_path):
    tokenizer = Tokenizer.train(["hello world"], vocab_size=270)
    sizes = TransformerConfig(tokenizer.vocab_size, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)
    model = Transformer(sizes, torch.Generator().manual_seed(0))
    checkpoints.save("small", model, tokenizer, {"what": "a test"}, tmp_path)
    return tmp_path, model


@pytest.mark.parametrize("tied", [True, False])
def test_what_is_saved_is_loaded(tmp_path, tied):
    tokenizer = Tokenizer.train(["hello world"], vocab_size=270)
    sizes = TransformerConfig(tokenizer.vocab_size, n_layer=1, n_head=2, n_kv_head=1, n_embd=16, tied_embeddings=tied)
    model = Transformer(sizes)
    checkpoints.save("small", model, tokenizer, {"what": "a test"}, tmp_path)
    stage = checkpoints.load("small", tmp_path)
    assert stage.card == {"what": "a test"} and stage.model.config == sizes and not stage.model.training
    assert stage.tokenizer.encode("hello") == tokenizer.encode("hello")
    ids = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(stage.model(ids), model(ids), atol=1e-3, rtol=1e-2)  # half precision on disk
    assert checkpoints.available(tmp_path) == ("small",)
    assert not list(tmp_path.glob("*.unfinished"))


@pytest.mark.parametrize("tied", [True, False])
def test_a_reward_model_gives_the_same_rewards_when_loaded(tmp_path, tied):
    tokenizer = Tokenizer.train(["hello world"], vocab_size=270)
    sizes = TransformerConfig(tokenizer.vocab_size, n_layer=1, n_head=2, n_kv_head=1, n_embd=16, tied_embeddings=tied)
    model = RewardModel(Transformer(sizes, torch.Generator().manual_seed(0)), tokenizer).eval()
    asked, said = ["hello", "world"], ["world", "hello hello"]
    model.normalise(asked, said)
    model.centre += 1000.123  # too fine for half precision
    checkpoints.save("grader", model, tokenizer, {}, tmp_path)
    loaded = checkpoints.load("grader", tmp_path).model
    assert float(loaded.centre) == float(model.centre)
    torch.testing.assert_close(loaded(asked, said), model(asked, said), atol=2e-3, rtol=1e-5)


def test_a_reward_model_finds_its_reader_among_the_stages_and_no_other(tmp_path):
    tokenizer = Tokenizer.train(["hello world"], vocab_size=270)
    sizes = TransformerConfig(tokenizer.vocab_size, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)
    trunk, reader, another = (Transformer(sizes, torch.Generator().manual_seed(seed)) for seed in range(3))
    model = RewardModel(trunk, tokenizer, reader=reader).eval()
    torch.nn.init.normal_(model.notes.weight)
    with pytest.raises(CheckpointError, match="reader is no stage of .*save that model there first"):
        checkpoints.save("grader", model, tokenizer, {}, tmp_path)
    checkpoints.save("another", another, tokenizer, {}, tmp_path)
    size = checkpoints.save("reads", reader, tokenizer, {}, tmp_path).stat().st_size
    path = checkpoints.save("grader", model, tokenizer, {}, tmp_path)
    assert path.stat().st_size < 1.5 * size, "the reader is not written twice"
    loaded = checkpoints.load("grader", tmp_path).model
    asked, said = ["hello", "world"], ["world", "hello hello"]
    torch.testing.assert_close(loaded(asked, said), model(asked, said), atol=2e-3, rtol=2e-3)
    assert not any(parameter.requires_grad for parameter in loaded.reader.parameters())
    checkpoints.save("reads", another, tokenizer, {}, tmp_path)
    with pytest.raises(CheckpointError, match=r"grader\.safetensors was trained with another reads\.safetensors"):
        checkpoints.load("grader", tmp_path)
    (tmp_path / "reads.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"reads\.safetensors is missing"):
        checkpoints.load("grader", tmp_path)


def test_a_missing_stage_names_the_file_and_the_command():
    with pytest.raises(CheckpointError, match=r"nothing\.safetensors is missing .*The course comes with base, mlm"):
        checkpoints.load("nothing")


def test_the_command_that_makes_a_stage_again_is_one_that_does():
    assert set(checkpoints.available()) == set(checkpoints.MADE_BY)
    assert {name for name, command in checkpoints.MADE_BY.items() if "recipes" in command} == set(recipes.RECIPES)
    assert {name for name, command in checkpoints.MADE_BY.items() if "recipes" not in command} == set(RECURRENT)


@pytest.mark.parametrize("file", ["small.safetensors", "small.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "flipped"])
def test_damage_is_a_sentence(saved, file, damage):
    directory, _ = saved
    path = directory / file
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2 : len(content) // 2 + 40] = b"\xff" * 40
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match="Train or save it again") as raised:
        checkpoints.load("small", directory)
    assert str(directory) in str(raised.value)


def test_weights_that_do_not_fit_their_description(saved):
    directory, _ = saved
    about = json.loads((directory / "small.json").read_text())
    about["config"]["n_layer"] = 2
    (directory / "small.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match="does not fit its description"):
        checkpoints.load("small", directory)


def test_a_failed_save_leaves_the_old_stage(saved, monkeypatch):
    directory, model = saved
    monkeypatch.setattr("safetensors.torch.save", lambda weights: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save("small", model, checkpoints.load("small", directory).tokenizer, {}, directory)
    monkeypatch.undo()
    assert checkpoints.load("small", directory).card == {"what": "a test"}


DAMAGED_DESCRIPTIONS = {
    "null": lambda about: None,
    "a list": lambda about: [],
    "no card": lambda about: {key: value for key, value in about.items() if key != "card"},
    "a card that is none": lambda about: about | {"card": None},
    "no heads": lambda about: about | {"config": about["config"] | {"n_head": 0}},
    "a size that is a text": lambda about: about | {"config": about["config"] | {"n_layer": "1"}},
    "a reader without a name": lambda about: about | {"reader": {}},
    "a reader that is a text": lambda about: about | {"reader": "base"},
}


@pytest.mark.parametrize("damage", DAMAGED_DESCRIPTIONS)
def test_a_damaged_description_is_a_sentence(saved, damage):
    directory, _ = saved
    path = directory / "small.json"
    path.write_text(json.dumps(DAMAGED_DESCRIPTIONS[damage](json.loads(path.read_text()))))
    with pytest.raises(
        CheckpointError, match=r"small\.(json is damaged|safetensors does not fit its desc).*save it again"
    ):
        checkpoints.load("small", directory)


def test_a_model_and_a_tokenizer_of_other_sizes_do_not_belong_together(saved):
    directory, _ = saved
    Tokenizer.train(["other words"], vocab_size=275).save(directory / "tokenizer.json")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json has 272 tokens.*with 270.*not belong together"):
        checkpoints.load("small", directory)


def contents(directory) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_tokenizer_that_other_stages_need_is_not_replaced(saved):
    directory, model = saved
    another = Tokenizer.train(["olleh dlrow"], vocab_size=270)
    before = contents(directory)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is another tokenizer.*\(small\).*another directory"):
        checkpoints.save("second", model, another, {}, directory)
    assert contents(directory) == before
    checkpoints.save("small", model, another, {}, directory)  # nobody else needs the one before
    assert checkpoints.load("small", directory).tokenizer.encode("olleh") == another.encode("olleh")


def test_saving_again_mends_a_damaged_tokenizer_and_leaves_a_good_one_alone(saved):
    directory, model = saved
    tokenizer, path = checkpoints.load("small", directory).tokenizer, directory / "tokenizer.json"
    written = path.stat().st_mtime_ns
    checkpoints.save("second", model, tokenizer, {}, directory)
    assert path.stat().st_mtime_ns == written
    path.write_text(path.read_text()[:100])
    checkpoints.save("second", model, tokenizer, {}, directory)
    assert checkpoints.load("small", directory).tokenizer.encode("hello") == tokenizer.encode("hello")


def test_a_kill_while_a_stage_is_written_spoils_no_other(saved, monkeypatch):
    directory, model = saved
    tokenizer = checkpoints.load("small", directory).tokenizer

    def half(write):
        def and_no_more(path, content, **options):
            write(path, content[: len(content) // 2], **options)
            raise KeyboardInterrupt

        return and_no_more

    for name in ("write_bytes", "write_text"):
        monkeypatch.setattr(Path, name, half(getattr(Path, name)))
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save("second", model, tokenizer, {}, directory)
    monkeypatch.undo()
    assert checkpoints.load("small", directory).tokenizer.encode("hello") == tokenizer.encode("hello")


@pytest.mark.parametrize("written", [0, 1, 2])
def test_weights_never_meet_a_tokenizer_that_is_not_theirs(saved, monkeypatch, written):
    """A stage is replaced by one with another tokenizer of the same size, and killed after so many files."""
    directory, model = saved
    before, another = checkpoints.load("small", directory).tokenizer, Tokenizer.train(["olleh dlrow"], vocab_size=270)
    done, write_whole = [], checkpoints.write_whole

    def until_killed(content, path):
        if len(done) == written:
            raise KeyboardInterrupt
        write_whole(content, path)
        done.append(path)

    monkeypatch.setattr(checkpoints, "write_whole", until_killed)
    with torch.no_grad():
        model.norm.weight.mul_(2)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save("small", model, another, {}, directory)
    if written:
        with pytest.raises(CheckpointError, match="checksum is wrong"):
            checkpoints.load("small", directory)
    else:
        assert checkpoints.load("small", directory).tokenizer.encode("hello") == before.encode("hello")


def test_a_card_that_is_no_json_leaves_the_old_stage(saved):
    directory, model = saved
    before = contents(directory)
    tokenizer = checkpoints.load("small", directory).tokenizer
    with torch.no_grad():
        model.norm.weight.mul_(2)
    with pytest.raises(TypeError, match="Tensor is not JSON serializable"):
        checkpoints.save("small", model, tokenizer, {"loss": torch.tensor(1.0)}, directory)
    assert contents(directory) == before


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_stages_load_and_their_cards_are_complete(name):
    stage = checkpoints.load(name)
    card = stage.card
    assert sum(p.numel() for p in stage.model.parameters() if p.requires_grad) == card["parameters"]
    assert (1e5 if name == "small_rlhf" else 1e6) < card["parameters"] < 4e6
    if name == "reward":
        assert 0.5 < card["accuracy_on_other_people"] < card["accuracy_possible"] and card["votes"] > 10_000
    else:
        assert len(card["samples"]) == 20
    if (planned := card["trainer_config"].get("total_steps")) is not None:
        # Those of the leaderboard train for a time, and only near its end is it known how many steps that will be.
        assert abs(card["steps"] - planned) <= (2 if name in ("gru", "lstm", "rnn") else 0)
    assert {"what", "trained_by", "minutes", "torch"} <= card.keys()
    assert stage.model.config.causal == (name != "mlm")


@pytest.mark.parametrize(
    ("name", "steps", "rate", "ptx_coef"),
    [
        ("rlhf", recipes.PPO_STEPS, recipes.PPO_RATE, 0.0),
        ("rlhf_ptx", recipes.PPO_STEPS, recipes.PPO_RATE, recipes.PTX_COEF),
        ("small_rlhf", recipes.SMALL_STEPS["small_rlhf"], 2 * recipes.PPO_RATE, 0.0),
    ],
)
def test_aligned_stages_were_trained_as_their_recipes_say(name, steps, rate, ptx_coef):
    card = checkpoints.load(name).card
    config = card["trainer_config"]
    assert (card["steps"], config["learning_rate"], config["ptx_coef"]) == (steps, rate, ptx_coef)
    assert config["kl_coef"] == recipes.KL_COEF


def test_every_step_of_the_pipeline_makes_the_true_score_rise():
    scores = [checkpoints.load(name).card["scores"]["gold score"] for name in ("sft", "rlhf")]
    assert scores[0]["high"] < scores[1]["low"]
    assert checkpoints.available() == SHIPPED


def test_all_shipped_stages_together_are_small():
    assert sum(path.stat().st_size for path in checkpoints.SHIPPED.iterdir()) < 40e6
