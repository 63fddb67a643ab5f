"""python -m lmcore.speedrun --budget 600 --out DIR: from random weights to an aligned chat model in ten minutes.

Six phases: read (text and tokenizer), base (pretraining), sft, reward (votes of simulated people, and a model that
learns them), rlhf (PPO), scores. Each has a share of the budget, and a gate at its end: what failed stops the run with
a reason instead of spoiling what comes after. A run that was killed goes on where it was: give it the same DIR.

DIR then holds the stages (`checkpoints.load("rlhf", DIR)`), report.json, and report.html to look at.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lmcore import cards, checkpoints
from lmcore.answers import answers_to
from lmcore.budget import LEAST, Budget
from lmcore.checkpoints import Stage
from lmcore.data import almanac, mixtures
from lmcore.data.almanac.demonstrations import CASUAL
from lmcore.data.tokenizer import Tokenizer
from lmcore.evaluate import alignment, capability
from lmcore.evaluation import feedback
from lmcore.evaluation.comparisons import compare
from lmcore.evaluation.labelers import TASTES
from lmcore.models import RewardModel, Transformer, TransformerConfig
from lmcore.recipes import MUON
from lmcore.report_page import page
from lmcore.trainers import (
    PPOConfig,
    PPOTrainer,
    PretrainConfig,
    PretrainTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
    Trainer,
)
from lmcore.trainers.half_precision import bfloat16_pays

SHARES = {"read": 0.03, "base": 0.33, "sft": 0.31, "reward": 0.11, "rlhf": 0.15, "scores": 0.07}
SAVE_EVERY = 20.0  # seconds of training that a kill can cost
STEPS_SHOWN = 10
HEAD = 32  # numbers an attention head has
ASKED_FIRST = 100  # prompts, to see how long asking takes here


@dataclass(frozen=True)
class SpeedrunConfig:
    """What a learner may choose; all else is the course's own recipe."""

    budget: float = 600.0  # seconds, all phases together
    n_layer: int = 3
    n_embd: int = 128
    chat_repeats: int = 1  # conversations between people, against
    almanac_characters: int = 8_000_000  # pages of the almanac
    labelled_prompts: int = 8000  # four answers to each are compared; with 2,500 PPO learnt to know nothing
    tastes: Mapping[str, float] = field(default_factory=dict)  # what the labelers like beside quality
    kl_coef: float = 0.3
    seed: int = 0

    def __post_init__(self):
        if not self.budget >= 30:
            raise ValueError(f"a budget of {self.budget:g} seconds: reading the text alone takes about 30")
        if not isinstance(self.kl_coef, int | float) or not 0 <= self.kl_coef < float("inf"):
            raise ValueError(f"kl_coef={self.kl_coef!r}: the leash is a number, 0 (none) or more; 0.3 is usual")
        unknown = sorted(set(self.tastes) - set(TASTES))
        if unknown:
            raise ValueError(f"no taste {unknown[0]!r}: labelers may like {', '.join(TASTES)}")
        if not isinstance(self.n_layer, int) or self.n_layer < 1:
            raise ValueError(f"n_layer={self.n_layer!r}: a model has 1 layer or more; 3 are usual")
        if not isinstance(self.n_embd, int) or self.n_embd < HEAD or self.n_embd % (2 * (self.n_embd // HEAD)):
            raise ValueError(f"n_embd={self.n_embd!r} cannot be split into heads: take 32, 64, 96, 128, 160, 192 ...")


class GateFailed(RuntimeError):
    """A phase diverged or is not good enough to go on; the message says what was measured and what to try."""


@dataclass(frozen=True)
class Progress:
    """Where a run is."""

    phase: str
    share: float  # of the phase, 0 to 1
    seconds_left: float  # of the whole run, about
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = "  ".join(f"{name} {value:.2f}" for name, value in self.metrics.items())
        return f"{self.phase:7} {self.share:4.0%}   {self.seconds_left / 60:4.1f} min left   {shown}"


class Speedrun:
    """The whole pipeline in one directory: `for progress in Speedrun(config, out): ...`, then `.report`.

    Raises: ValueError if the directory holds a run with another config or cannot hold one; while iterating, GateFailed.
    """

    def __init__(self, config: SpeedrunConfig, out: Path | str):
        self.config, self.out = config, Path(out)
        self.report: dict[str, Any] = {
            "config": asdict(config), "phases": {}, "stopped": None,
            "machine": {"threads": torch.get_num_threads(), "torch": torch.__version__},
        }  # fmt: skip
        path, choices = self.out / "report.json", self.report["config"]
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            if path.exists():
                self.report = json.loads(path.read_text()) | {"stopped": None}
            other = self.report["config"] != choices
            self.budget = Budget(config.budget, SHARES, self.report)
            self.budget.left()  # reads what each phase has taken
        except OSError as error:
            raise ValueError(f"{self.out} cannot hold a run ({error.strerror}): take another directory") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is damaged: take another directory, or delete {self.out}") from error
        if other:
            raise ValueError(f"{self.out} holds a run with other choices: take another directory, or delete it")

    def __iter__(self) -> Iterator[Progress]:
        for phase in SHARES:
            if "gate" in self.report["phases"].get(phase, {}):
                continue  # done before a kill
            self.budget.begin(phase)
            try:
                yield from getattr(self, phase)()
            except (GateFailed, ValueError) as reason:
                self.report["stopped"] = str(reason)
                raise
            except FloatingPointError as error:
                what = str(error).partition(". The learning rate")[0]  # which is no choice here
                self.report["stopped"] = f"{phase}: {what}. Take another seed, or for rlhf a larger kl_coef."
                raise GateFailed(self.report["stopped"]) from error
            finally:
                self.budget.spent(phase)
                self._write()
        self._write()

    # --- The phases -----------------------------------------------------------------------------------------------

    def read(self) -> Iterator[Progress]:
        """Write the text and learn a vocabulary from it."""
        yield self._at("read", 0.0)
        texts = self._texts()
        yield self._at("read", 0.5, {"million characters": sum(map(len, texts)) / 1e6})
        tokenizer = Tokenizer.train(texts, vocab_size=4096)
        checkpoints.save_tokenizer(self.out, tokenizer)
        sample = texts[:500]
        per_token = sum(map(len, sample)) / sum(map(len, tokenizer.encode_batch(sample)))
        self._gate("read", "characters a token", per_token, 2.5, "the text is not the English that was expected")
        yield self._at("read", 1.0, {"characters a token": per_token})

    def base(self) -> Iterator[Progress]:
        """Pretraining from random weights."""
        tokenizer, tokens = self._tokenizer(), self._tokens()
        heads = self.config.n_embd // HEAD
        sizes = TransformerConfig(
            tokenizer.vocab_size, n_layer=self.config.n_layer, n_embd=self.config.n_embd,
            n_head=heads, n_kv_head=1 if heads % 2 else heads // 2,
        )  # fmt: skip
        model = Transformer(sizes, torch.Generator().manual_seed(self.config.seed))
        held_out = mixtures.as_tokens(mixtures.held_out_documents()[:900], tokenizer)
        config = PretrainConfig(batch_size=16, bfloat16=bfloat16_pays(), seed=self.config.seed)
        trainer = PretrainTrainer(model, tokens, config, held_out)
        yield from self._train("base", trainer)
        loss = trainer.evaluate()
        self._save("base", model, "Next-token prediction on human chat and the almanac", trainer)
        self._gate("base", "validation loss", loss, 5.0, "it has read too little; take a larger budget", at_most=True)

    def sft(self) -> Iterator[Progress]:
        """The model learns to answer, from demonstrations."""
        base = self._load("base")
        config = SFTConfig(ptx_coef=0.3, ptx_batch_size=4, batch_size=32, seed=self.config.seed, **MUON)
        rows = mixtures.conversations(demonstrations=20_000, human_repeats=1)
        trainer = SFTTrainer(copy.deepcopy(base.model).train(), rows, base.tokenizer, config, ptx_tokens=self._tokens())
        yield from self._train("sft", trainer)
        self._save("sft", trainer.model, "Supervised fine-tuning of base on demonstrations", trainer)
        asked = [task.prompt for task in almanac.prompts("validation", n=600)]
        sft, before = (answers_to(stage, asked) for stage in (self._load("sft"), base))
        preferred = compare(asked, sft, before)
        self._gate("sft", "preferred to base", preferred.low, 0.5, "demonstrations did not help; look at its samples")

    def reward(self) -> Iterator[Progress]:
        """Simulated people compare the model's answers; a reward model learns what they like."""
        sft, config = self._load("sft"), self.config
        prompts = [task.prompt for task in almanac.prompts("train", n=config.labelled_prompts, seed=3, casual=CASUAL)]
        yield self._at("reward", 0.0)
        ask = partial(feedback.collect, sft.model, sft.tokenizer, tastes=config.tastes, seed=config.seed)
        learnt = ask(self._as_many_as_fit(prompts, ask))
        unseen = [task.prompt for task in almanac.prompts("validation", n=200, seed=3)]
        asked = feedback.collect(sft.model, sft.tokenizer, unseen, crowd="other people", tastes=config.tastes, seed=1)
        yield self._at("reward", 0.2, {"votes": len(learnt.pairs)})
        generator = torch.Generator().manual_seed(config.seed)
        model = RewardModel(copy.deepcopy(sft.model), sft.tokenizer, generator, reader=sft.model)
        trainer = RewardTrainer(model, learnt.pairs, RewardConfig(seed=config.seed, **MUON))
        yield from self._train("reward", trainer, most_steps=trainer.steps_per_epoch)
        shown = list(asked.pairs)
        model.normalise([p["prompt"] for p in shown] * 2, [p[side] for side in ("chosen", "rejected") for p in shown])
        accuracy = trainer.evaluate(shown)["accuracy"]
        self.report["phases"]["reward"] |= {"votes": len(learnt.pairs), "accuracy possible": round(asked.ceiling, 3)}
        self._save("reward", model, "A reward model of the votes of simulated people", trainer)
        self._gate("reward", "accuracy on other people", accuracy, 0.55, "it is guessing; ask for more labels")

    def rlhf(self) -> Iterator[Progress]:
        """PPO against the reward model."""
        sft, reward = self._load("sft"), self._load("reward")
        prompts = [task.prompt for task in almanac.prompts("train", n=4000, seed=4, casual=CASUAL)]
        config = PPOConfig(kl_coef=self.config.kl_coef, seed=self.config.seed)
        trainer = PPOTrainer(
            copy.deepcopy(sft.model), sft.model, reward.model, prompts, config, tokenizer=sft.tokenizer
        )
        kl = 0.0
        for progress in self._train("rlhf", trainer):
            kl = progress.metrics.get("objective/kl", kl)
            yield progress
        self._save("rlhf", trainer.policy, "PPO from sft against the reward model", trainer)
        self._gate("rlhf", "KL from sft, nats", kl, 60.0, "the policy ran away; take a larger kl_coef", at_most=True)

    def scores(self) -> Iterator[Progress]:
        """What each stage is able to do, whether it does what people want, and twenty answers of each."""
        self.report |= {"scores": {}, "samples": []}
        asked = [task.prompt for task in almanac.prompts("test", n=400, seed=5)]
        said = {}
        for done, name in enumerate(("base", "sft", "rlhf")):
            stage = self._load(name)
            found = alignment(stage, prompts=300) | capability(stage, documents=30)
            self.report["scores"][name] = {key: _rounded(value) for key, value in found.items()}
            said[name] = answers_to(stage, asked)
            yield self._at("scores", (done + 1) / 3, {f"gold score of {name}": found["gold score"]["value"]})
        self.report["preferred"] = {
            f"{ours} to {theirs}": _rounded(asdict(compare(asked, said[ours], said[theirs])))
            for ours, theirs in (("sft", "base"), ("rlhf", "sft"), ("rlhf", "base"))
        }
        self.report["samples"] = [
            {"prompt": prompt} | {name: answers[place] for name, answers in said.items()}
            for place, prompt in enumerate(asked[:20])
        ]
        rise = self.report["scores"]["rlhf"]["gold score"]["low"] - self.report["scores"]["base"]["gold score"]["high"]
        self._gate("scores", "rise of the gold score, at least", rise, 0.0, "alignment did not help beyond chance")

    # --- What all phases share ------------------------------------------------------------------------------------

    def _train(self, phase: str, trainer: Trainer, most_steps: int | None = None) -> Iterator[Progress]:
        """Steps until the phase's time is over; the learning rate falls to zero with it, where the trainer's does."""
        saved, used, written = self.out / f"{phase}.unfinished.pt", 0.0, 0.0
        planned, before = self.budget.planned(phase), self.budget.spent(phase)
        if saved.exists():
            state = torch.load(saved)
            trainer.load_state_dict(state["trainer"])
            used = written = state["used"]
            before -= used
        seconds = max(planned - before, LEAST * planned)
        share = 0.0
        while share < 1:
            if hasattr(trainer.config, "total_steps") and used:
                steps = round(trainer.steps_done * seconds / used)
                trainer.config = replace(trainer.config, total_steps=min(steps, most_steps or steps) + 1)
            started = time.perf_counter()
            metrics = trainer.step()
            used += time.perf_counter() - started
            share = max(used / seconds, trainer.steps_done / most_steps if most_steps else 0.0)
            if used - written > SAVE_EVERY:
                written = used
                checkpoints.save_whole({"trainer": trainer.state_dict(), "used": used}, saved)
                self.budget.spent(phase)
                self._write()
            if trainer.steps_done % STEPS_SHOWN == 0 or share >= 1:
                shown = {name: metrics[name] for name in SHOWN if name in metrics}
                yield self._at(phase, min(share, 1.0), shown)
        self.report["phases"][phase]["steps"] = trainer.steps_done

    def _gate(self, phase: str, what: str, measured: float, needed: float, advice: str, at_most: bool = False) -> None:
        """Note that the phase is done, or raise GateFailed if its result is not good enough."""
        if not (measured <= needed if at_most else measured >= needed):
            wanted = f"{'at most' if at_most else 'at least'} {needed:.3g}"
            raise GateFailed(f"{phase}: {what} is {measured:.3g}, needed is {wanted}: {advice}.")
        self.report["phases"][phase]["gate"] = {"what": what, "measured": round(measured, 4), "needed": needed}
        (self.out / f"{phase}.unfinished.pt").unlink(missing_ok=True)

    def _at(self, phase: str, share: float, metrics: Mapping[str, float] | None = None) -> Progress:
        self.budget.spent(phase)
        return Progress(phase, share, self.budget.left(), metrics or {})

    def _as_many_as_fit(self, prompts: list[str], ask: Callable[[list[str]], Any]) -> list[str]:
        """As many prompts as can be asked in half of the phase's time, tried with a few; after a kill the same ones."""
        phase = self.report["phases"]["reward"]
        if "prompts" not in phase:
            ask(prompts[:ASKED_FIRST])  # the first time takes longer: it does not count
            before = self.budget.spent("reward")
            ask(prompts[:ASKED_FIRST])
            each = (self.budget.spent("reward") - before) / ASKED_FIRST
            fit = int(0.5 * self.budget.planned("reward") / each)
            phase["prompts"] = min(len(prompts), max(ASKED_FIRST, fit))
            self._write()
        return prompts[: phase["prompts"]]

    def _texts(self) -> list[str]:
        return mixtures.documents(self.config.chat_repeats, self.config.almanac_characters)

    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.load(self.out / "tokenizer.json")

    def _tokens(self) -> torch.Tensor:
        path = self.out / "tokens.pt"
        if not path.exists():
            checkpoints.save_whole(mixtures.as_tokens(self._texts(), self._tokenizer()), path)
        return torch.load(path)

    def _load(self, name: str) -> Stage:
        return checkpoints.load(name, self.out)

    def _save(self, name: str, model: Any, what: str, trainer: Trainer) -> None:
        minutes = self.report["phases"][name]["seconds"] / 60
        card = cards.describe(what, trainer, minutes, program="lmcore.speedrun")
        checkpoints.save(name, model, self._tokenizer(), card, self.out)

    def _write(self) -> None:
        self.report["seconds"] = round(sum(phase["seconds"] for phase in self.report["phases"].values()), 1)
        checkpoints.write_whole(json.dumps(self.report, indent=1).encode(), self.out / "report.json")
        checkpoints.write_whole(page(self.report).encode(), self.out / "report.html")


SHOWN = ("loss", "accuracy", "objective/scores", "objective/kl")


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def main(arguments: list[str] | None = None) -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--budget", type=float, default=600, help="seconds for everything")
    parser.add_argument("--out", type=Path, required=True, help="a new directory, or one of a run that was killed")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    started, last = time.perf_counter(), ""
    try:
        run = Speedrun(SpeedrunConfig(budget=given.budget, seed=given.seed), given.out)
        for progress in run:
            end = "\n" if progress.phase != last else ""
            last = progress.phase
            print(f"{end}\r{progress}", end="", flush=True)
    except (GateFailed, ValueError) as reason:
        print(f"\nStopped. {reason}", file=sys.stderr)
        return 1
    print(f"\n{time.perf_counter() - started:.0f} s")
    for name, found in run.report["scores"].items():
        gold = found["gold score"]
        print(f"{name:5} gold score {gold['value']:+.2f} ({gold['low']:+.2f} to {gold['high']:+.2f})")
    print(f"Look at {given.out / 'report.html'}, or talk to it:")
    print(f"python -m lmcore.chat --stage rlhf --directory {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
