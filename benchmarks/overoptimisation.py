"""The reward rises and the answers get worse: `python -m benchmarks.overoptimisation` (half an hour)

Gao et al. 2022 (arXiv 2210.10760) in miniature. Reward models of three sizes learn from three numbers of votes of the
simulated crowd; each is a proxy of the judge, and is optimised from the shipped SFT model, by best-of-n and by PPO
without a leash (kl_coef 0). The judge only watches. Gold and proxy are measured on the same answers to held-out
prompts, against d = sqrt(KL from the SFT model), and d (a - b d) is fitted for best-of-n, d (a - b log d) for PPO.

Like the paper's, our proxies are of one family, trained on the same text: the first layers of the SFT model (one, two
or all four), its word table and its last norm, and a new reward head. Each sees its votes once (the fewest, as often as
it takes to move at all); fewer votes are the first ones of more. Both scores count in standard deviations of the SFT
model's answers. The KL of best-of-n is log n - (n - 1) / n, a bound from above where a model repeats itself.

Writes overoptimisation.json after each proxy, then overoptimisation.md and .svg; started again, it goes on with what is
missing, and with `--again` from the beginning. One seed each: nine proxies, not nine repetitions.
"""

import argparse
import copy
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import curves
from benchmarks.machine import describe
from lmcore import checkpoints
from lmcore.checkpoints import Stage
from lmcore.data import almanac
from lmcore.evaluation import Judge, feedback
from lmcore.evaluation.best_of_n import best_of_n_kl, expected_best_of_n
from lmcore.evaluation.intervals import mean
from lmcore.evaluation.sampling import sample_answers
from lmcore.models import RewardModel, Transformer
from lmcore.trainers import PPOConfig, PPOTrainer, RewardTrainer
from lmcore.trainers.ppo import Reward

RESULTS = Path(__file__).with_name("overoptimisation.json")
TOKENS = 32  # of an answer, at most
ROWS_AT_ONCE = 128  # answers looked at together


@dataclass(frozen=True)
class Settings:
    """How much is measured; the defaults took half an hour beside other work."""

    layers: tuple[int, ...] = (1, 2, 4)  # of the proxies
    labels: tuple[int, ...] = (500, 3000, 18_000)
    labelled_prompts: int = 4000  # four answers to each make about 4.7 pairs of different ones
    reward_steps: int = 30  # at least
    voting_prompts: int = 400  # other people compare answers to these, for the proxy's accuracy
    held_out: int = 256  # prompts on which gold and proxy are measured
    answers: int = 64  # to each, from which best-of-n chooses
    ppo_steps: int = 40
    far: float = 4.5  # sqrt(KL) of a training batch at which a run ends before its time: beyond is babble
    ppo_prompts: int = 4000
    # The penalty for endless answers is no part of the proxy, and best-of-n does without it too.
    ppo: PPOConfig = PPOConfig(learning_rate=2e-4, kl_coef=0.0, response_length=TOKENS, missing_eos_penalty=0.0)


@dataclass(frozen=True)
class Pool:
    """Held-out prompts, and what the SFT model answers to each."""

    prompts: list[str]
    answers: list[list[str]]


@dataclass(frozen=True)
class Standardised:
    """A reward that counts in standard deviations of the SFT model's answers, whose average is 0."""

    reward: Reward
    average: float
    deviation: float

    def __call__(self, prompts: list[str], completions: list[str]) -> Tensor:
        return (self.reward(prompts, completions) - self.average) / self.deviation


def graded(pool: Pool, reward: Reward) -> Tensor:
    """The reward of each answer of the pool, (prompts, answers to each); what was said twice is read once."""
    said = [(prompt, answer) for prompt, group in zip(pool.prompts, pool.answers, strict=True) for answer in group]
    once = sorted(set(said), key=lambda both: (len(both[0]) + len(both[1]), both))  # those of one length together
    scores = reward([prompt for prompt, _ in once], [answer for _, answer in once])
    place = {both: number for number, both in enumerate(once)}
    return scores[[place[both] for both in said]].view(len(pool.prompts), -1).double()


def standardised(pool: Pool, reward: Reward) -> tuple[Standardised, Tensor]:
    """The reward in deviations of the pool's answers, and theirs, (prompts, answers to each).

    Raises: ValueError if all answers get the same.
    """
    scores = graded(pool, reward)
    average, deviation = float(scores.mean()), float(scores.std())
    if not deviation > 0:
        raise ValueError(f"all {scores.numel()} answers get the same reward, {average:.3g}: there is no scale in that")
    return Standardised(reward, average, deviation), (scores - average) / deviation


def first_layers(model: Transformer, layers: int) -> Transformer:
    """A copy of a model that ends after its first layers. Raises: ValueError if it has not so many."""
    if not 1 <= layers <= model.config.n_layer:
        raise ValueError(f"layers={layers}: of this model the first 1 to {model.config.n_layer} can be kept")
    shorter, weights = Transformer(replace(model.config, n_layer=layers)), model.state_dict()
    shorter.load_state_dict({name: weights[name] for name in shorter.state_dict()})
    return shorter


def train_proxy(sft: Stage, layers: int, votes: list[dict], at_least: int) -> RewardTrainer:
    """Teaches the SFT model's first layers what people prefer: each vote once, or more often for `at_least` steps."""
    model = RewardModel(first_layers(sft.model, layers), sft.tokenizer, torch.Generator().manual_seed(0))
    trainer = RewardTrainer(model, votes)
    trainer.config = replace(trainer.config, total_steps=max(at_least, trainer.steps_per_epoch))
    trainer.run(trainer.config.total_steps, progress=False)
    model.eval()
    return trainer


def change(of: Tensor, best_by: Tensor) -> dict[str, float]:
    """By how much a score changed from the point that is best by another to the last; 95 % interval over prompts.

    The best of noisy points looks better than it is: so it is chosen on one half of the prompts, measured on the other.
    Args: of, best_by (points, prompts).
    """
    found = []
    for mine, other in ((0, 1), (1, 0)):
        seen, best = of[:, mine::2], best_by[:, other::2].mean(dim=1).argmax()
        found.append(seen[-1] - seen[best])
    return mean(torch.cat(found))


def by_best_of_n(proxy: Tensor, gold: Tensor) -> dict:
    """Best-of-n for n = 1, 2, 4 ...; proxy, gold (prompts, answers to each)."""
    counts = [2**i for i in range(proxy.size(1).bit_length())]
    liked, worth = (torch.stack([expected_best_of_n(proxy, seen, n) for n in counts]) for seen in (proxy, gold))
    return along([{"n": n, "d": best_of_n_kl(n) ** 0.5} for n in counts], liked, worth, "best_of_n")


def by_ppo(sft: Stage, proxy: Reward, gold: Reward, pool: Pool, before: Tensor, settings: Settings) -> dict:
    """A run of PPO, looked at after 2, 3, 4, 5, 6, 8, 10 ... steps; before (2, prompts): proxy and gold at first."""
    prompts = [task.prompt for task in almanac.prompts("train", n=settings.ppo_prompts, seed=4)]
    trainer = PPOTrainer(
        copy.deepcopy(sft.model), sft.model, proxy, prompts, settings.ppo,
        tokenizer=sft.tokenizer, sample_prompts=pool.prompts[:6],
    )  # fmt: skip
    looks = {round(2 ** (i / 3)) for i in range(3, 40)}
    points, seen = [{"step": 0, "d": 0.0}], [before]
    ended = False
    while not ended:
        metrics = trainer.step()
        ended = trainer.steps_done == settings.ppo_steps or metrics["objective/kl"] > settings.far**2
        if ended or trainer.steps_done in looks:
            kl, *scores = look(trainer, gold, pool.prompts)
            points.append({"step": trainer.steps_done, "d": max(float(kl.mean()), 0.0) ** 0.5})
            seen.append(torch.stack(scores))
    liked, worth = torch.stack(seen, dim=1)
    return along(points, liked, worth, "ppo") | {"samples": trainer.samples()}


@torch.no_grad()
def look(trainer: PPOTrainer, gold: Reward, prompts: list[str]) -> Tensor:
    """KL from the reference in nats, proxy and gold of one answer to each prompt: (3, prompts)."""
    seen = []
    for first in range(0, len(prompts), ROWS_AT_ONCE):
        some = prompts[first : first + ROWS_AT_ONCE]
        rollout, _ = trainer.rollout(some, trainer.config)
        answers = [trainer.tokenizer.decode(ids) for ids in rollout.generation.completions]
        kl = ((rollout.logprobs - rollout.ref_logprobs) * rollout.mask).sum(dim=1)
        seen.append(torch.stack([kl, rollout.scores, gold(some, answers)]))
    return torch.cat(seen, dim=1).double()


def along(points: list[dict], liked: Tensor, worth: Tensor, method: str) -> dict:
    """Points with their proxy and gold, gold's fitted curve, and what became of both since gold was best.

    Args: liked, worth (points, prompts): proxy and gold.
    """
    for point, proxy, gold in zip(points, liked.mean(dim=1).tolist(), worth.mean(dim=1).tolist(), strict=True):
        point |= {"proxy": proxy, "gold": gold}
    fitted = curves.fit([point["d"] for point in points], [point["gold"] for point in points], method)
    since = {"gold_since_best": change(worth, worth), "proxy_since_best": change(liked, worth)}
    return {"points": points, "fit": asdict(fitted)} | since


def measure(settings: Settings, path: Path) -> dict:
    """All proxies that the file does not have yet, each written as soon as it is done; returns what the file holds."""
    as_written = json.loads(json.dumps(asdict(settings)))
    results = json.loads(path.read_text()) if path.exists() else {}
    if results.get("settings") != as_written:
        results = {"machine": describe(), "settings": as_written, "proxies": []}
    done = {(cell["layers"], cell["labels"]) for cell in results["proxies"]}
    wanted = [(layers, labels) for labels in settings.labels for layers in settings.layers]
    missing = [cell for cell in wanted if cell not in done]
    if not missing:
        return results
    sft, started = checkpoints.load("sft"), time.perf_counter()
    pool = draw_pool(sft, settings)
    gold, golds = standardised(pool, Judge())
    results["gold"] = {"average": gold.average, "deviation": gold.deviation}
    votes, others = collect(sft, settings)
    pairs = list(votes.pairs)
    results["votes"] = {"collected": len(pairs), "agreement": votes.agreement, "accuracy_possible": others.ceiling}
    print(f"{len(pairs)} votes, {time.perf_counter() - started:.0f} s", flush=True)
    for layers, labels in missing:
        started = time.perf_counter()
        trainer = train_proxy(sft, layers, pairs[:labels], settings.reward_steps)
        proxy, liked = standardised(pool, trainer.model)
        before = torch.stack([liked.mean(dim=1), golds.mean(dim=1)])
        cell = {
            "layers": layers,
            "parameters": trainer.model.trunk.num_parameters(),
            "labels": labels,
            "reward_steps": trainer.steps_done,
            "accuracy": trainer.evaluate(others.pairs)["accuracy"],
            "best_of_n": by_best_of_n(liked, golds),
            "ppo": by_ppo(sft, proxy, gold, pool, before, settings),
            "seconds": round(time.perf_counter() - started, 1),
        }
        results["proxies"].append(cell)
        results["proxies"].sort(key=lambda cell: wanted.index((cell["layers"], cell["labels"])))
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(results, indent=1) + "\n")
        unfinished.replace(path)
        print(curves.line(cell), flush=True)
    return results


def draw_pool(sft: Stage, settings: Settings) -> Pool:
    """The SFT model's answers to the held-out prompts."""
    prompts = [task.prompt for task in almanac.prompts("test", n=settings.held_out, seed=6)]
    answers = sample_answers(sft.model, sft.tokenizer, prompts, settings.answers, max_new_tokens=TOKENS, seed=6)
    return Pool(prompts, answers)


def collect(sft: Stage, settings: Settings) -> tuple[feedback.Feedback, feedback.Feedback]:
    """Votes to learn from, and other people's on other prompts. Raises: ValueError if there are too few to learn from.

    A proxy of few votes sees the first of those that one of many sees.
    """
    asked = [task.prompt for task in almanac.prompts("train", n=settings.labelled_prompts, seed=3)]
    votes = feedback.collect(sft.model, sft.tokenizer, asked, max_new_tokens=TOKENS)
    if len(votes.pairs) < max(settings.labels):
        raise ValueError(
            f"{len(asked)} prompts made {len(votes.pairs)} votes, and labels={settings.labels} asks for more: "
            f"raise labelled_prompts"
        )
    unseen = [task.prompt for task in almanac.prompts("validation", n=settings.voting_prompts, seed=3)]
    others = feedback.collect(sft.model, sft.tokenizer, unseen, crowd="other people", seed=1, max_new_tokens=TOKENS)
    return votes, others


def write(results: dict, path: Path) -> None:
    """The table and the picture, beside the results."""
    path.with_suffix(".md").write_text(curves.table(results))
    path.with_suffix(".svg").write_text(curves.picture(results))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--again", action="store_true", help="forget what is measured already")
    if parser.parse_args().again:
        RESULTS.unlink(missing_ok=True)
    write(measure(Settings(), RESULTS), RESULTS)
    print(RESULTS.with_suffix(".md").read_text())
