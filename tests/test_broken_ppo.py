"""Each failure has its own cause, measured on a real small trainer; PPO without that mistake is free of it."""

import copy
from dataclasses import replace

import pytest
import torch

from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PPOConfig, PPOTrainer
from widgets.broken_ppo import Breakable, BreakableConfig, LikesLength, breakable
from widgets.rlhf_cockpit import RECIPES, RLHFCockpit

WORDS = "are you so kind sorry happy stupid .".split()  # the last one ends an answer
SETTINGS = PPOConfig(batch_size=64, response_length=12, learning_rate=1e-3)


class Words:
    """One token a word."""

    end_id, pad_id = 7, 0

    def chat(self, messages, add_generation_prompt=False):
        return [WORDS.index(word) for word in messages[-1]["content"].split()]

    def decode(self, ids):
        return " ".join(WORDS[i] for i in ids)


def kindness(prompts, completions):
    """The share of kind words, from -1 to 1: the length does not matter."""
    said = [completion.split() for completion in completions]
    return torch.tensor(
        [2 * sum(word in ("kind", "sorry", "happy") for word in one) / (len(one) or 1) - 1 for one in said]
    )


def ppo(kind: type[PPOTrainer] = PPOTrainer, gold=None, **settings) -> PPOTrainer:
    sizes = TransformerConfig(vocab_size=8, context_length=24, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)
    policy, generator = Transformer(sizes), torch.Generator().manual_seed(0)
    for parameter in policy.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    prompts = ["are you kind", "stupid", "so so so sorry"]
    config = replace(SETTINGS, **settings)
    return kind(policy, copy.deepcopy(policy), kindness, prompts, config, tokenizer=Words(), gold=gold)


@pytest.fixture
def cockpit():
    made = []

    def build(trainer=None, recipe=None):
        made.append(RLHFCockpit(trainer or ppo()))
        if recipe is not None:
            made[-1].apply(recipe)
        return made[-1]

    yield build
    for one in made:
        one.stop()


def late(history, metric: str) -> float:
    """The mean over the last five steps."""
    return sum(row[metric] for row in history[-5:]) / 5


# Recipe -> how many steps, and whether their history shows the failure.
FAILURES = {
    "Draw from old weights": (20, lambda history: late(history, "objective/kl") < -0.1),
    "Look one token off": (1, lambda history: abs(history[0]["val/ratio"] - 1) > 0.1),
    "Use the end as padding": (1, lambda history: history[0]["val/num_eos_tokens"] == 0),
    "Pay by the token": (12, lambda history: late(history, "val/response_length") > 6),
    "Punish doubt": (20, lambda history: late(history, "policy/entropy_avg") < 0.25),
}


@pytest.mark.parametrize("recipe", FAILURES)
def test_each_mistake_causes_its_failure_and_ppo_without_it_is_free_of_it(cockpit, recipe):
    steps, fails = FAILURES[recipe]
    assert fails(cockpit(recipe=recipe).run(steps))
    healthy = ppo()
    healthy.config = replace(healthy.config, **RECIPES[recipe].get("set", {}))
    assert not fails([healthy.step() for _ in range(steps)])


def test_every_mistake_has_its_recipe_and_every_recipe_three_sentences():
    mistakes = [recipe["mistake"] for recipe in RECIPES.values() if "mistake" in recipe]
    assert sorted([*mistakes, "none"]) == sorted(Breakable.mistakes)
    assert {name for name, recipe in RECIPES.items() if "mistake" in recipe} == FAILURES.keys()
    assert all(recipe[part].endswith(".") for recipe in RECIPES.values() for part in ("watch", "why", "mend"))


def test_without_a_mistake_it_is_ppo_in_every_number():
    plain, other = ppo(), ppo()
    assert breakable(other) and type(other) is Breakable and other.config.mistake == "none"
    for _ in range(3):
        ours, theirs = other.step(), plain.step()
        assert {**ours, "eps": 0} == {**theirs, "eps": 0}  # but for how fast it was
    assert other.samples() == plain.samples()


@pytest.mark.parametrize("recipe", FAILURES)
def test_a_rewind_brings_everything_back(cockpit, recipe):
    widget = cockpit(recipe=recipe)  # before the first step: the start is unbroken all the same
    widget.run(2)
    assert type(widget.trainer).__name__ == RECIPES[recipe]["mistake"]
    widget.rewind(0)
    assert type(widget.trainer) is Breakable and widget.trainer.config == BreakableConfig(**vars(SETTINGS))
    assert all(one["before"] == one["now"] for one in widget._training.samples)
    healthy = ppo()
    wanted = [healthy.step() | {"eps": 0} for _ in range(3)]  # but for how fast it was
    assert [{name: row[name] for name in row if name != "step"} | {"eps": 0} for row in widget.run(3)] == wanted
    assert widget._training.samples == healthy.samples()


def test_one_mistake_at_a_time_and_each_leaves_a_mark(cockpit):
    widget = cockpit(recipe="Use the end as padding")
    widget.run(1)
    widget.apply("Punish doubt")
    row = widget.run(1)[0]
    assert row["val/num_eos_tokens"] > 0 and type(widget.trainer).__name__ == "EntropyPenalty"
    widget.apply("Hold it too tight")
    widget.run(1)
    assert type(widget.trainer) is Breakable
    marks = [(one["before"], one["value"]) for one in widget.changes if one["name"] == "mistake"]
    assert marks == [("none", "PadIsEnd"), ("PadIsEnd", "EntropyPenalty"), ("EntropyPenalty", "none")]


def test_what_it_said_before_is_not_broken(cockpit):
    widget = cockpit(recipe="Use the end as padding")
    widget.run(1)
    before = [one["before"] for one in widget._training.samples]
    assert before == [one["before"] for one in ppo().samples()]
    assert all(len(one["now"].split()) == 12 for one in widget._training.samples)


def test_answers_of_old_weights_are_those_of_before(cockpit):
    widget = cockpit(recipe="Draw from old weights")
    widget.run(6)
    assert all(one["before"] == one["now"] for one in widget._training.samples)


def test_the_true_score_knows_nothing_of_the_bonus_and_the_reward_is_itself_again(cockpit):
    trainer = ppo(gold=kindness)
    row = cockpit(trainer, "Pay by the token").run(1)[0]
    bonus = LikesLength.BONUS * (row["val/response_length"] - SETTINGS.response_length / 2)
    assert row["objective/scores"] - row["objective/gold_score"] == pytest.approx(bonus, rel=1e-4)
    assert trainer.reward is kindness


def test_a_config_swapped_by_a_cell_can_be_broken_again(cockpit):
    widget = cockpit(recipe="Use the end as padding")
    widget.trainer.config = SETTINGS
    assert type(widget.trainer) is Breakable
    widget.apply("Use the end as padding")
    assert widget.run(1)[0]["val/num_eos_tokens"] == 0


def test_a_mistake_that_there_is_not_is_a_sentence():
    with pytest.raises(ValueError, match="mistake='typo': it must be one of none, StaleSampler, "):
        BreakableConfig(mistake="typo")


def test_somebody_elses_ppo_is_left_alone(cockpit):
    class Own(PPOTrainer):
        pass

    widget = cockpit(ppo(Own))
    assert type(widget.trainer) is Own and type(widget.trainer.config) is PPOConfig
    assert not FAILURES.keys() & widget._recipes.keys() and "Turn the leash off" in widget._recipes
    widget.apply("Turn the leash off")
    assert widget.trainer.config.kl_coef == 0
