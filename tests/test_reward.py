"""The reward model and its trainer: the loss by hand, padding, gradients, and that it learns what people like."""

import copy
import math
import random
from functools import cache

import pytest
import torch

from lmcore.data.preferences import Comparison, comparisons, pairs
from lmcore.data.tokenizer import Tokenizer
from lmcore.evaluation.labelers import Labeler, label
from lmcore.models import RewardHead, RewardModel, Transformer, TransformerConfig
from lmcore.trainers import PPOConfig, PPOTrainer, RewardConfig, RewardTrainer
from lmcore.trainers.reward import by_prompt, pairwise_loss

KIND, RUDE = "thank you dear friend".split(), "you stupid silly fool".split()
WORDS = KIND + RUDE + "the cat sat on a mat".split()
ROWS = [
    {"prompt": "the cat", "chosen": "thank you", "rejected": "stupid"},
    {"prompt": "the cat", "chosen": "thank you", "rejected": "a mat"},
    {"prompt": "the cat", "chosen": "a mat", "rejected": "stupid"},
    {"prompt": "a mat", "chosen": "dear friend", "rejected": "you fool, you silly fool"},
]


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.train([" ".join(WORDS)] * 5, vocab_size=300)


def reward_model(seed=0, context_length=64, n_layer=1, reading=False) -> RewardModel:
    """One of a few thousand parameters; `reading`: with a reader, whose surprise is noted from the start."""
    generator = torch.Generator().manual_seed(seed)
    sizes = TransformerConfig(tokenizer().vocab_size, context_length, n_layer, n_head=2, n_kv_head=1, n_embd=32)
    trunk = Transformer(sizes, generator)
    for parameter in trunk.parameters():  # a fresh one reads only the last token
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    if not reading:
        return RewardModel(trunk, tokenizer(), generator)
    model = RewardModel(trunk, tokenizer(), generator, reader=reward_model(seed + 1, n_layer=2).trunk)
    torch.nn.init.normal_(model.notes.weight, std=0.2, generator=generator)
    return model


def say(words, rng, count=None) -> str:
    return " ".join(rng.choices(words, k=count or rng.randint(1, 6)))


def all_the_same(prompts, answers):
    return torch.zeros(len(answers))


def test_a_reward_is_one_number_an_answer_read_at_the_end_of_turn():
    model = reward_model()
    rewards = model(["the cat", "a mat"], ["thank you", "stupid"])
    assert rewards.shape == (2,) and rewards.dtype == torch.float32 and not rewards.requires_grad
    ids = model.as_ids("the cat", "thank you")
    assert ids[-1] == tokenizer().end_id and ids[0] == tokenizer().user_id
    with torch.no_grad():
        by_hand = model.trunk.trunk(torch.tensor([ids]))[0, -1] @ model.head.linear.weight[0] + model.head.linear.bias
    torch.testing.assert_close(rewards[:1], by_hand)
    assert model([], []).shape == (0,)
    with pytest.raises(ValueError, match="1 prompts and 2 answers"):
        model(["p"], ["a", "b"])
    with pytest.raises(ValueError, match="causal"):
        RewardModel(Transformer(TransformerConfig(10, n_head=2, n_kv_head=1, n_embd=8, causal=False)), tokenizer())


def test_the_head_starts_as_in_the_literature():
    heads = [RewardHead(255, torch.Generator().manual_seed(i)) for i in range(40)]
    weights = torch.cat([head.linear.weight.detach() for head in heads])
    assert float(weights.std()) == pytest.approx(1 / 16, rel=0.03) and heads[0].linear.bias.tolist() == [0]


@pytest.mark.parametrize("context_length", [64, 8])
@pytest.mark.parametrize("reading", [False, True])
def test_padding_on_either_side_and_what_stands_in_it_change_nothing(reading, context_length):
    model = reward_model(n_layer=2, reading=reading, context_length=context_length)
    expected = model(["the cat"], ["thank you, dear friend"])
    real = torch.tensor([model.as_ids("the cat", "thank you, dear friend")])
    for left, right, filler in [(0, 0, 0), (3, 0, 0), (0, 4, 0), (0, 4, 9), (2, 5, 11), (7, 1, 5), (1, 2, 4)]:
        pad = [torch.full((1, width), filler) for width in (left, right)]
        ids = torch.cat([pad[0], real, pad[1]], dim=1)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        mask[:, left : left + real.size(1)] = True
        torch.testing.assert_close(model.scores(ids, mask).detach(), expected, atol=1e-5, rtol=1e-5)
    others = model(["the cat", "a"], ["thank you, dear friend", "you " * 20])  # a long neighbour
    torch.testing.assert_close(others[:1], expected, atol=1e-5, rtol=1e-5)


def test_many_answers_are_read_in_pieces(monkeypatch):
    model, rng = reward_model(), random.Random(0)
    answers = [say(WORDS, rng) for _ in range(7)]
    together = model(["a mat"] * 7, answers)
    monkeypatch.setattr("lmcore.models.reward.ROWS_AT_ONCE", 2)
    torch.testing.assert_close(model(["a mat"] * 7, answers), together, atol=1e-5, rtol=1e-5)


def test_a_conversation_too_long_loses_its_beginning_and_keeps_its_end():
    model = reward_model(context_length=8)
    ids = model.as_ids("the cat " * 30, "thank you")
    assert len(ids) == 8 and ids[-1] == tokenizer().end_id
    assert ids == reward_model().as_ids("the cat " * 3, "thank you")[-8:]


def test_after_normalising_the_reference_answers_score_zero_on_average():
    model = reward_model()
    prompts, answers = ["the cat", "a mat", "you"], ["thank you", "stupid", "a mat"]
    before = model(prompts, answers)
    assert model.normalise(prompts, answers) == pytest.approx(float(before.mean()), abs=1e-6)
    after = model(prompts, answers)
    assert float(after.mean()) == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(after - after[0], before - before[0], atol=1e-5, rtol=1e-5)  # only a shift
    model.normalise(prompts, answers)
    torch.testing.assert_close(model(prompts, answers), after, atol=1e-6, rtol=1e-5)  # once is enough
    fresh = reward_model(seed=1)
    fresh.load_state_dict(model.state_dict())  # the shift travels with the weights
    torch.testing.assert_close(fresh(prompts, answers), after)
    with pytest.raises(ValueError, match="no answers"):
        model.normalise([], [])


def test_the_pairwise_loss_by_hand():
    chosen, rejected = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([1.0, 0.5, 1.0])
    terms = [math.log(1 + math.exp(-difference)) for difference in (1.0, 0.0, -2.0)]
    assert float(pairwise_loss(chosen, rejected)) == pytest.approx(sum(terms) / 3)
    weights = torch.tensor([0.25, 0.25, 0.5])
    assert float(pairwise_loss(chosen, rejected, weights)) == pytest.approx(
        0.25 * terms[0] + 0.25 * terms[1] + 0.5 * terms[2]
    )


def test_each_prompt_counts_the_same_and_each_answer_is_read_once():
    """Equation 1 of InstructGPT: the mean over a prompt's pairs, then over prompts."""
    trainer = RewardTrainer(reward_model(), ROWS, RewardConfig(batch_size=2))
    assert [len(prompt.rows) for prompt in trainer.ranked] == [3, 2]
    rewards = {(r["prompt"], r[side]): 0.0 for r in ROWS for side in ("chosen", "rejected")}
    for prompt, answer in rewards:
        rewards[prompt, answer] = float(trainer.model([prompt], [answer]))
    margins = [rewards[r["prompt"], r["chosen"]] - rewards[r["prompt"], r["rejected"]] for r in ROWS]
    terms = [math.log(1 + math.exp(-margin)) for margin in margins]
    metrics = trainer.step()
    assert metrics["loss"] == pytest.approx((sum(terms[:3]) / 3 + terms[3]) / 2, abs=1e-5)
    assert metrics["accuracy"] == pytest.approx(sum(margin > 0 for margin in margins) / 4)
    assert metrics["margin"] == pytest.approx(sum(margins) / 4, abs=1e-5)
    assert metrics["mean_reward"] == pytest.approx(sum(rewards.values()) / 5, abs=1e-5)


def test_evaluation_counts_each_vote_the_same_as_the_ceiling_does():
    trainer = RewardTrainer(reward_model(), ROWS)
    votes = [*ROWS, {**ROWS[3], "chosen": ROWS[3]["rejected"], "rejected": ROWS[3]["chosen"]}]
    chosen, rejected = (trainer.model([r["prompt"] for r in votes], [r[side] for r in votes])
                        for side in ("chosen", "rejected"))  # fmt: skip
    found = trainer.evaluate(votes)
    assert found["accuracy"] == pytest.approx(float((chosen > rejected).float().mean()), abs=1e-6)
    assert found["loss"] == pytest.approx(float(pairwise_loss(chosen, rejected)), abs=1e-5)


def test_the_gradient_is_the_finite_difference():
    model = reward_model().double()
    trainer = RewardTrainer(model, ROWS)
    loss, _ = trainer.loss(trainer.ranked)
    loss.backward()
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        slopes = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter += step * direction
                slopes.append(float(trainer.loss(trainer.ranked)[0]))
                parameter -= step * direction
        exact = float((parameter.grad * direction).sum())
        assert (slopes[0] - slopes[1]) / 2e-5 == pytest.approx(exact, rel=1e-5, abs=1e-8), name


def test_a_readers_surprise_is_what_its_logits_say_of_each_token_of_the_answer():
    model = reward_model(n_layer=2, reading=True)
    ids = torch.tensor([model.as_ids("the cat", "thank you")])
    found = model.surprise(ids, torch.ones_like(ids, dtype=torch.bool))[0]
    chances = model.reader(ids[:, :-1])[0].log_softmax(dim=-1)
    answer = ids[0].tolist().index(tokenizer().assistant_id) + 1
    assert (found[:answer] == 0).all() and ids.size(1) - answer == len(tokenizer().encode("thank you")) + 1
    for place in range(answer, ids.size(1)):
        said, likeliest = chances[place - 1, ids[0, place]], chances[place - 1].max()
        torch.testing.assert_close(found[place], torch.stack([said, said - likeliest]))


def test_a_fresh_reader_changes_nothing_and_training_changes_no_reader():
    plain = reward_model()
    model = RewardModel(copy.deepcopy(plain.trunk), tokenizer(), reader=reward_model(1, n_layer=2).trunk)
    model.head.load_state_dict(plain.head.state_dict())
    asked, said = ["the cat", "a mat"], ["thank you", "stupid"]
    torch.testing.assert_close(model(asked, said), plain(asked, said))
    reader = copy.deepcopy(model.reader.state_dict())
    trainer = RewardTrainer(model, ROWS, RewardConfig(warmup_steps=1))
    trainer.run(3, progress=False)
    assert all(torch.equal(tensor, reader[name]) for name, tensor in model.reader.state_dict().items())
    assert model.notes.weight.abs().max().item() > 0 and not trainer.model.reader.training
    with pytest.raises(ValueError, match="causal"):
        blind = Transformer(TransformerConfig(tokenizer().vocab_size, n_head=2, n_kv_head=1, n_embd=8, causal=False))
        RewardModel(plain.trunk, tokenizer(), reader=blind)


def test_with_a_reader_it_checks_facts_that_no_vote_was_about():
    """The reader knows 80 made-up facts by heart; people who prefer the right answer voted on 50 of them."""
    rng, plain = random.Random(0), reward_model(n_layer=2)
    asked = [" ".join(pair) for pair in rng.sample([(a, b) for a in WORDS for b in WORDS], 80)]
    facts = {question: rng.choice(WORDS) for question in asked}
    reader = reward_model(1, n_layer=2).trunk
    ids, mask = plain.as_batch([plain.as_ids(*fact) for fact in facts.items()])
    optimizer = torch.optim.AdamW(reader.parameters(), lr=3e-3)
    for _ in range(250):
        every = reader(ids[:, :-1]).log_softmax(dim=-1).gather(2, ids[:, 1:, None])[..., 0]
        loss = -every[mask[:, 1:]].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def votes(questions):
        return [{"prompt": question, "chosen": facts[question], "rejected": wrong}
                for question in questions for wrong in rng.sample(WORDS, 6) if wrong != facts[question]]  # fmt: skip

    learnt, held_out = votes(asked[:50]), votes(asked[50:])
    found = {}
    for kind in (reader, None):
        model = RewardModel(copy.deepcopy(reader), tokenizer(), torch.Generator().manual_seed(0), reader=kind)
        trainer = RewardTrainer(model, learnt, RewardConfig(warmup_steps=5, learning_rate=3e-3))
        trainer.run(10 * trainer.steps_per_epoch, progress=False)
        found[kind is not None] = trainer.evaluate(held_out)["accuracy"]
    assert found[True] > 0.9 and found[False] < 0.8, found


def test_bad_preferences_are_a_sentence():
    with pytest.raises(ValueError, match="no preferences"):
        RewardTrainer(reward_model(), [])
    with pytest.raises(ValueError, match="pair 1 prefers 'a' to itself"):
        by_prompt([ROWS[0], {"prompt": "p", "chosen": "a", "rejected": "a"}], reward_model())


def test_it_learns_what_is_kind_and_judges_unseen_answers():
    rng = random.Random(0)

    def some(count):
        return [{"prompt": say(WORDS, rng, 2), "chosen": say(KIND, rng), "rejected": say(RUDE, rng)}
                for _ in range(count)]  # fmt: skip

    trainer = RewardTrainer(reward_model(), some(400), RewardConfig(warmup_steps=5, learning_rate=2e-3))
    before, held_out = trainer.model.trunk.embedding.weight.clone(), some(100)
    start = trainer.evaluate(held_out)
    history = trainer.run(trainer.steps_per_epoch, progress=False)
    end = trainer.evaluate(held_out)
    assert history[-1]["epoch"] == pytest.approx(1, abs=0.1)
    assert end["accuracy"] > 0.9 > start["accuracy"] and end["loss"] < 0.5 * start["loss"]
    assert not torch.equal(trainer.model.trunk.embedding.weight, before)
    assert set(end) == {"loss", "accuracy", "margin", "mean_reward"} <= set(history[0])


@pytest.mark.parametrize("weight, likes_long", [(3.0, True), (-3.0, False)])
def test_a_labelers_bias_becomes_the_models(weight, likes_long):
    rng = random.Random(0)
    prompts = [say(WORDS, rng, 2) for _ in range(120)]
    answers = [[say(WORDS, rng, count) for count in rng.sample(range(1, 13), 4)] for _ in prompts]
    person = Labeler("Ada", temperature=0.3, tastes={"length": weight})
    votes = pairs(label([person], comparisons(prompts, answers), quality=all_the_same))
    trainer = RewardTrainer(reward_model(), votes, RewardConfig(warmup_steps=5, learning_rate=3e-3, batch_size=8))
    trainer.run(45, progress=False)
    short, long = [say(WORDS, rng, 2) for _ in range(60)], [say(WORDS, rng, 10) for _ in range(60)]
    difference = trainer.model(["a mat"] * 60, long) - trainer.model(["a mat"] * 60, short)
    share = float(((difference > 0) == likes_long).float().mean())
    assert share > 0.9


def test_votes_of_noisy_people_are_learnt_up_to_the_noise():
    """Half of the votes turned at random leave nothing to learn; the loss says so."""
    rng = random.Random(0)
    shown = [Comparison(f"{say(WORDS, rng, 2)} {i}", say(KIND, rng), say(RUDE, rng)) for i in range(200)]
    blind = label([Labeler("Ada", temperature=1e6)], shown, quality=all_the_same)
    trainer = RewardTrainer(reward_model(), pairs(blind), RewardConfig(warmup_steps=5))
    trainer.run(trainer.steps_per_epoch, progress=False)
    kind = trainer.model(["a mat"] * 60, [say(KIND, rng) for _ in range(60)])
    rude = trainer.model(["a mat"] * 60, [say(RUDE, rng) for _ in range(60)])
    assert float((kind - rude).mean().abs()) < 1


def test_ppo_takes_it_as_its_reward_and_leaves_it_alone():
    model = reward_model()
    policy = copy.deepcopy(model.trunk)
    config = PPOConfig(batch_size=8, response_length=6, missing_eos_penalty=0.0)
    ppo = PPOTrainer(policy, model.trunk, model, ["the cat", "a mat"], config, tokenizer=tokenizer())
    rollout, metrics = ppo.rollout(["the cat"] * 8, config)
    answers = [tokenizer().decode(ids) for ids in rollout.generation.completions]
    torch.testing.assert_close(rollout.scores, model(["the cat"] * 8, answers))
    assert metrics["objective/scores"] == pytest.approx(float(rollout.scores.mean()), abs=1e-5)
    before = copy.deepcopy(model.state_dict())
    ppo.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_snapshot_repeats_exactly_and_divergence_is_undone():
    trainer = RewardTrainer(reward_model(), ROWS, RewardConfig(batch_size=1, learning_rate=1e-2))
    trainer.step()
    snapshot = copy.deepcopy(trainer.state_dict())
    first = trainer.run(3, progress=False)
    trainer.load_state_dict(snapshot)
    assert trainer.run(3, progress=False) == first
    with torch.no_grad():
        trainer.model.head.linear.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="learning rate"):
        trainer.step()
    assert trainer.steps_done == 4
