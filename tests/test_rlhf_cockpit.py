"""The cockpit on a real PPOTrainer, with a model of a few hundred weights and an alphabet of eight letters."""

import copy
import time

import pytest
import torch

from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PPOConfig, PPOTrainer
from widgets import theme
from widgets.rlhf_cockpit import RECIPES, RLHFCockpit

LETTERS = "abcdefgh"


class Letters:
    """One token a letter; "h" ends an answer."""

    end_id, pad_id = 7, 0

    def chat(self, messages, add_generation_prompt=False):
        return [LETTERS.index(letter) for letter in messages[-1]["content"]]

    def decode(self, ids):
        return "".join(LETTERS[i] for i in ids)


def count_a(prompts, completions):
    return torch.tensor([completion.count("a") - 1.0 for completion in completions])


def variety(prompts, completions):
    return torch.tensor([float(len(set(completion))) for completion in completions])


def ppo(reward=count_a, gold=variety, **config) -> PPOTrainer:
    torch.manual_seed(0)
    size = {"n_layer": 1, "n_head": 2, "n_kv_head": 1, "n_embd": 16}
    policy = Transformer(TransformerConfig(vocab_size=8, context_length=16, **size))
    for parameter in policy.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.4)
    settings = PPOConfig(**{"response_length": 4, "batch_size": 32, **config})
    return PPOTrainer(
        policy, copy.deepcopy(policy), reward, ["ab", "cde", "f"], settings, tokenizer=Letters(), gold=gold
    )


@pytest.fixture
def cockpit():
    made = []

    def build(**given):
        made.append(RLHFCockpit(ppo(**given)))
        return made[-1]

    yield build
    for one in made:
        one.stop()


def test_shows_what_there_is_to_see(cockpit):
    plan = cockpit().plan
    drawn = {(one["name"], one["colour"]) for chart in plan["charts"] for one in chart["series"]}
    assert {("objective/scores", "reward"), ("objective/gold_score", "gold"), ("objective/kl", "kl")} < drawn
    vital = {"val/response_length", "val/num_eos_tokens", "policy/entropy_avg", "val/ratio"}
    assert vital < {name for name, _ in drawn}
    assert {colour for _, colour in drawn} <= theme.COLOURS.keys()
    assert "objective/sqrt_kl" in {chart["x"] for chart in plan["charts"]}
    assert [knob["name"] for knob in plan["knobs"]][:2] == ["kl_coef", "learning_rate"]
    assert [recipe["name"] for recipe in plan["recipes"]] == [*RECIPES, "Back to normal"]
    assert all(recipe["watch"] for recipe in plan["recipes"])
    assert {recipe["name"]: recipe["mend"] for recipe in plan["recipes"]}.items() >= {
        (name, recipe["mend"]) for name, recipe in RECIPES.items()
    }
    assert repr(cockpit()) == "RLHFCockpit()"


def test_every_metric_that_is_drawn_is_measured(cockpit):
    widget = cockpit()
    row = widget.run(1)[0]
    assert {one["name"] for chart in widget.plan["charts"] for one in chart["series"]} <= row.keys()
    assert {chart["x"] for chart in widget.plan["charts"]} <= row.keys()


def test_samples_before_and_now(cockpit):
    widget = cockpit(learning_rate=0.01, kl_coef=0.0)
    widget.run(20)
    samples = widget._training.samples
    assert [one["prompt"] for one in samples] == ["ab", "cde", "f"]
    assert any(one["before"] != one["now"] for one in samples) and widget._training.sampled_at == 20
    widget.rewind(0)
    assert all(one["before"] == one["now"] for one in widget._training.samples)


@pytest.mark.parametrize("recipe", [*RECIPES, "Back to normal"])
def test_a_recipe_sets_its_knobs_and_training_goes_on(cockpit, recipe):
    widget = cockpit()
    widget.run(2)
    before = widget.trainer.config
    widget.apply(recipe)
    about = RECIPES.get(recipe, {})
    wanted = about.get("set", {}) | {"mistake": about.get("mistake", "none")}
    config = widget.trainer.config
    assert {name: getattr(config, name) for name in wanted} == wanted
    assert {change["name"] for change in widget.changes} == {n for n, v in wanted.items() if v != getattr(before, n)}
    widget.run(2)
    if "kl_coef" in wanted:
        assert widget.history[-1]["objective/kl_coef"] == wanted["kl_coef"]
    widget.apply("Back to normal")
    assert widget.trainer.config == before


def test_the_leash_holds_as_tightly_as_it_is_held(cockpit):
    def kl(recipe):
        widget = cockpit()
        widget.apply(recipe)
        return sum(row["objective/kl"] for row in widget.run(25)[-5:]) / 5

    tight, normal, off = kl("Hold it too tight"), kl("Back to normal"), kl("Turn the leash off")
    assert tight < normal / 2 < normal * 2 < off


def test_recipes_that_the_trainer_or_the_knobs_cannot_follow_are_not_offered():
    widget = RLHFCockpit(ppo(), knobs={"kl_coef": (0.0, 0.2), "learning_rate": (1e-5, 1e-2, "log"), "no_such": (0, 1)})
    mistakes = [name for name, recipe in RECIPES.items() if "mistake" in recipe]
    assert list(widget._recipes) == ["Turn the leash off", *mistakes, "Back to normal"]
    assert [knob["name"] for knob in widget.plan["knobs"]] == ["kl_coef", "learning_rate"]


def test_a_recipe_that_there_is_not(cockpit):
    with pytest.raises(ValueError, match="no recipe 'Cheat'. Recipes: Turn the leash off, "):
        cockpit().apply("Cheat")


def test_a_reward_that_breaks_is_shown_and_can_be_rewound(cockpit):
    broken = []

    def learners_own(prompts, completions):
        if broken:
            raise ZeroDivisionError("division by zero")
        return count_a(prompts, completions)

    widget = cockpit(reward=learners_own)
    widget.run(6)
    broken.append(True)
    with pytest.raises(ZeroDivisionError):
        widget.run(1)
    assert widget.state == "failed" and "ZeroDivisionError: division by zero" in widget.message
    widget.rewind(5)
    broken.clear()
    assert len(widget.run(2)) == 2


def test_a_reward_that_is_not_a_number_counts_as_divergence(cockpit):
    widget = cockpit(reward=lambda prompts, completions: count_a(prompts, completions) / 0)
    with pytest.raises(FloatingPointError):
        widget.run(1)
    assert widget.message.startswith("Training diverged: the reward of the answer ") and widget.trainer.steps_done == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "None (is a `return` missing?)"),
        ("good", "'good' (str)"),
        (1.5, "1.5 (float)"),
        ([0.5, 1, True], "a list of 3 numbers"),
        (["good"] * 32, "a list with 'good' in it"),
        ([1.0] * 31 + [None], "a list with None in it"),
        ([[1.0]] * 32, "a list with [1.0] in it"),
        (torch.zeros(32, 1), "a Tensor of shape (32, 1)"),
        ({"score": 1}, "{'score': 1} (dict)"),
    ],
    ids=str,
)
def test_a_reward_that_returns_something_else_is_told_what_and_what_it_must_return(cockpit, given, words):
    widget = cockpit(reward=lambda prompts, completions: given)
    with pytest.raises((TypeError, ValueError)) as told:
        widget.run(1)
    said = f"the reward returned {words}; it must return one number an answer, here 32, as a list or a tensor"
    assert str(told.value) == said and said in widget.message and widget.trainer.steps_done == 0


@pytest.mark.parametrize("kind", [list, tuple, lambda scores: scores.numpy(), lambda scores: scores.tolist()])
def test_a_reward_may_be_a_list_or_an_array(cockpit, kind):
    row = cockpit(reward=lambda prompts, completions: kind(count_a(prompts, completions))).run(1)[0]
    assert row["objective/scores"] == cockpit().run(1)[0]["objective/scores"]


def test_stop_breaks_off_a_long_generation(cockpit):
    widget = cockpit(batch_size=4096, num_ppo_epochs=50)
    weights = copy.deepcopy(widget.trainer.policy.state_dict())
    widget.play()
    time.sleep(0.3)
    widget.stop()  # the whole step would take half a minute
    assert (widget.state, widget.trainer.steps_done, widget.history) == ("idle", 0, [])
    assert all(torch.equal(weight, weights[name]) for name, weight in widget.trainer.policy.state_dict().items())


def test_without_a_true_score_none_is_drawn(cockpit):
    plan = cockpit(gold=None).plan
    assert [[one["name"] for one in chart["series"]] for chart in plan["charts"][:3]] == [
        ["objective/scores"],
        ["objective/kl"],
        ["objective/scores"],
    ]
    assert RLHFCockpit(ppo(gold=None), curves=[["objective/gold_score", "loss"]]).plan["columns"] == ["step", "loss"]
