"""Every model of the story on one leaderboard: `python -m benchmarks.leaderboard` (about 10 min)

The same text, every document once; the same tokenizer; about the same number of parameters; and each network trains
for the same wall time. What counts is bits per byte on conversations and almanac pages that none of them has read.
N-grams have no parameters but counts, and no training time but one look at the text: theirs are told as they are. The
masked model's number is a pseudo-likelihood: it is told too, but must not be ranked with the others.

Writes benchmarks/leaderboard.json after each model; started again, it goes on with what is missing. With `--stages` it
also saves the trained rnn, lstm and gru.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.machine import describe
from lmcore import cards, checkpoints
from lmcore.data import corpus, mixtures
from lmcore.data.tokenizer import Tokenizer
from lmcore.evaluation.scores import Score, bits_per_byte, pseudo_bits_per_byte
from lmcore.models import Transformer, TransformerConfig
from lmcore.models.ngram import NGram
from lmcore.models.recurrent import Recurrent, RecurrentConfig
from lmcore.trainers import MaskedLMConfig, MaskedLMTrainer, PretrainConfig, PretrainTrainer

RESULTS = Path(__file__).with_name("leaderboard.json")
SECONDS = 90  # of training for each network; with less, the result calls itself preliminary
PARAMETERS = 1_040_000  # of each network, within 0.3 %; half of them are the embeddings of 4,096 tokens
HELD_OUT = {"chat": 75, "almanac": 250}  # documents to be scored on
LOOKS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)  # of the training time, when the held-out text is scored

NGRAMS = {"unigram": 1, "2-gram": 2, "3-gram": 3, "4-gram": 4, "5-gram": 5}
RECURRENT = {"rnn": 600, "lstm": 288, "gru": 336}  # cell -> n_hidden that makes it as large as the others
MODELS = (*NGRAMS, *RECURRENT, "masked", "transformer")


@dataclass(frozen=True)
class Text:
    """What all models read, and what they are asked about."""

    tokenizer: Tokenizer
    tokens: Tensor  # int32 (N,): the training documents in a row
    held_out: dict[str, list[str]]  # "chat" and "almanac" -> documents

    def settings(self, seconds: float) -> dict:
        """What must be the same for two results to stand in one table."""
        tokenizer = hashlib.sha256("\n".join(self.tokenizer.pieces(list(range(self.tokenizer.vocab_size)))).encode())
        return {
            "seconds": seconds,
            "parameters": PARAMETERS,
            "training_tokens": len(self.tokens),
            "held_out_documents": {name: len(texts) for name, texts in self.held_out.items()},
            "tokenizer": tokenizer.hexdigest()[:16],
        }


def read() -> Text:
    """The corpus of the shipped models. Every document once: text that is counted twice fools an n-gram's discounts."""
    tokenizer = Tokenizer.load(checkpoints.SHIPPED / "tokenizer.json")
    tokens = mixtures.as_tokens(mixtures.documents(chat_repeats=1), tokenizer)
    chat = list(corpus.chitchat()["validation"]["text"])
    held_out = {"chat": chat, "almanac": mixtures.held_out_documents()[len(chat) :]}  # the conversations come first
    return Text(tokenizer, tokens, {kind: texts[: HELD_OUT[kind]] for kind, texts in held_out.items()})


def build(name: str, vocab_size: int) -> Transformer | Recurrent:
    """A network of about PARAMETERS numbers, 128 wide."""
    generator = torch.Generator().manual_seed(0)
    if name in RECURRENT:
        return Recurrent(RecurrentConfig(vocab_size, n_embd=128, n_hidden=RECURRENT[name], cell=name), generator)
    sizes = TransformerConfig(vocab_size, n_layer=3, n_head=4, n_kv_head=2, n_embd=128, n_hidden=320)
    return Transformer(replace(sizes, causal=name != "masked"), generator)


def trainer_of(name: str, model: nn.Module, text: Text) -> PretrainTrainer:
    """The trainer that a network gets; its learning rate falls to zero over the second half of the time."""
    if name == "masked":
        config = MaskedLMConfig(batch_size=8)
        special = tuple(range(7))
        return MaskedLMTrainer(model, text.tokens, text.tokenizer.mask_id, config, special_ids=special)
    return PretrainTrainer(model, text.tokens, PretrainConfig(batch_size=8))


def train(trainer: PretrainTrainer, seconds: float, look: Callable[[], dict[str, Score]]) -> tuple[list[dict], dict]:
    """Train for some seconds, and look at the held-out text on the way; looking does not count as time.

    Returns the curve and what the last look found, after the last step.
    """
    curve, used, looks = [], 0.0, [seconds * share for share in LOOKS]
    while used < seconds:
        if used:  # how many steps there will be in all, as far as one can tell by now
            left = (seconds - used) / used * trainer.steps_done
            trainer.config = replace(trainer.config, total_steps=trainer.steps_done + max(1, round(left)))
        started = time.perf_counter()
        trainer.step()
        used += time.perf_counter() - started
        if used >= looks[0]:
            looks = [later for later in looks if later > used]
            found = look()
            curve.append({"seconds": round(used, 3), "tokens": trainer.num_tokens} | values(found))
    return curve, found


def scores(model, text: Text) -> dict[str, Score]:
    """Bits per byte on each kind of held-out text; a masked model's are not comparable."""
    masked = isinstance(model, nn.Module) and not model.config.causal
    measure = pseudo_bits_per_byte if masked else bits_per_byte
    return {kind: measure(model, texts, text.tokenizer) for kind, texts in text.held_out.items()}


def values(found: dict[str, Score]) -> dict[str, float]:
    return {kind: round(score.value, 4) for kind, score in found.items()}


def count(name: str, text: Text) -> dict:
    """An n-gram model's line of the table."""
    started = time.perf_counter()
    model = NGram(NGRAMS[name], text.tokenizer.vocab_size, eot_id=text.tokenizer.eot_id).fit(text.tokens)
    used = time.perf_counter() - started
    found = scores(model, text)
    about = {"order": model.order, "smoothing": model.smoothing}
    seen = {"seconds": round(used, 3), "tokens": len(text.tokens)}
    return line(found, sum(len(level.keys) for level in model.levels), about, [seen | values(found)])


def learn(name: str, text: Text, seconds: float, stages: Path | None) -> dict:
    """A network's line of the table."""
    model = build(name, text.tokenizer.vocab_size)
    trainer, started = trainer_of(name, model, text), time.time()
    curve, found = train(trainer, seconds, lambda: scores(model, text))
    about = {"model": asdict(model.config), "trainer": asdict(trainer.config), "steps": trainer.steps_done}
    result = line(found, model.num_parameters(), about, curve)
    if stages and name in RECURRENT:
        what = "Next-token prediction on human chat and the almanac, for as long as the others on the leaderboard"
        card = cards.describe(what, trainer, (time.time() - started) / 60, "benchmarks.leaderboard")
        card |= {"bits_per_byte": result["scores"]}
        card |= {"samples": cards.base_samples(model, text.tokenizer)}
        checkpoints.save(name, model, text.tokenizer, card, stages)
    return result


def is_saved(name: str, result: dict, stages: Path) -> bool:
    """Whether the stage of this name is the model of this line, and not an older one."""
    path = stages / f"{name}.json"
    return path.exists() and json.loads(path.read_text())["card"].get("bits_per_byte") == result["scores"]


def line(found: dict[str, Score], parameters: int, about: dict, curve: list[dict]) -> dict:
    return {
        "scores": {kind: {"value": round(s.value, 4), "low": round(s.low, 4), "high": round(s.high, 4)}
                   for kind, s in found.items()},
        "comparable": all(score.comparable for score in found.values()),
        "parameters": parameters,
        "about": about,
        "curve": curve,
    }  # fmt: skip


def run(text: Text, seconds: float, path: Path, names: Iterable[str] = MODELS, stages: Path | None = None) -> dict:
    """Fill in what is missing in the table at `path`, one model after the other, and return it."""
    settings = text.settings(seconds)
    table = json.loads(path.read_text()) if path.exists() else {}
    if table.get("settings") != settings:
        table = {"preliminary": seconds < SECONDS, "settings": settings, "machine": describe(), "models": {}}
    for name in names:
        done = table["models"].get(name)
        if done and (name not in RECURRENT or stages is None or is_saved(name, done, stages)):
            continue
        result = count(name, text) if name in NGRAMS else learn(name, text, seconds, stages)
        table["models"][name] = result
        unfinished = path.with_name(path.name + ".unfinished")
        unfinished.write_text(json.dumps(table, indent=1) + "\n")
        unfinished.replace(path)
        shown = "  ".join(f"{kind} {score['value']:.3f}" for kind, score in result["scores"].items())
        print(f"{name:12} {result['parameters']:>10,}  {shown}", flush=True)
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of training for each network")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the table")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--stages", nargs="?", type=Path, const=checkpoints.SHIPPED, help="save rnn, lstm, gru there")
    arguments = parser.parse_args()
    run(read(), arguments.seconds, arguments.out, arguments.models, arguments.stages)
