"""The model that a learner keeps in lesson 09 is there in lessons 10 and 11, and a damaged one stops nobody."""

import copy

import pytest
import torch
from experiments.lesson_08 import twenty_votes
from experiments.own_model import folder, keep, own_stages

from lmcore import checkpoints
from lmcore.trainers import PPOConfig, PPOTrainer
from widgets.votes import Votes


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BLANK_TO_CHAT_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def sft():
    return checkpoints.load("sft")


def trainer(sft) -> PPOTrainer:
    policy = copy.deepcopy(sft.model)

    def nothing(prompts, completions):
        return torch.zeros(len(prompts))

    return PPOTrainer(policy, sft.model, nothing, ["Hello!"], PPOConfig(batch_size=2), tokenizer=sft.tokenizer)


def test_what_is_kept_comes_back(sft):
    assert own_stages() == {}
    ppo = trainer(sft)
    with torch.no_grad():
        ppo.policy.norm.weight.mul_(2)
    keep(ppo)
    stage = own_stages()["your taste"]
    assert torch.equal(stage.model.norm.weight, 2 * sft.model.norm.weight)
    assert stage.card["samples"][0]["prompt"] == "Hello!"


def test_a_damaged_one_is_left_out_with_a_sentence(sft, capsys):
    keep(trainer(sft))
    path = folder() / "rlhf.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    assert own_stages() == {}
    assert "left out" in capsys.readouterr().out


def test_five_votes_of_the_learner_count_and_fewer_have_a_stand_in(sft):
    votes, whose = twenty_votes(sft)
    assert len(votes) == 20 and "stand-in who likes it long" in whose
    sides = {"a": ("completion_a", "completion_b"), "b": ("completion_b", "completion_a")}
    assert all(len(vote[chosen]) >= len(vote[other]) for vote in votes for chosen, other in [sides[vote["winner"]]])
    for number in range(5):
        row = {"prompt": f"{number}?", "completion_a": "Yes.", "completion_b": "No.", "labeler": "me", "left": "a"}
        Votes().add(row | {"winner": "a"})
    assert twenty_votes(sft)[1] == "5 votes of yours"
