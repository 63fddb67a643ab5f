"""The tiny world, the measurements and the pictures of lesson 09. The ideas are in the notebook itself."""

import torch
from torch import Tensor

from lmcore.data import almanac
from lmcore.data.almanac.tasks import RUDELY
from lmcore.evaluation import Judge
from lmcore.evaluation.intervals import mean
from lmcore.evaluation.sampling import sample_answers
from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PPOConfig, PPOTrainer
from widgets.theme import COLOURS, LAYOUT

# --- A world of eight words, where every answer can be listed -----------------------------------------------------

WORDS = "you are I am so sorry stupid happy".split()
SORRY, STUPID, HAPPY = (WORDS.index(word) for word in ("sorry", "stupid", "happy"))
PROMPT = [STUPID]  # somebody says: stupid
CROWD = {"you are so stupid": 5, "are you so stupid": 2, "am I so stupid": 1, "you are so so": 1,
         "I am so happy": 3, "I am so sorry": 2, "are you so happy": 2}  # fmt: skip


def tiny_logprobs(model: Transformer, answers: Tensor) -> Tensor:
    """log probability of every word of every answer: long (B, 4) -> (B, 4)."""
    ids = torch.cat([torch.tensor(PROMPT).expand(len(answers), -1), answers], dim=1)
    return model(ids[:, :-1]).log_softmax(dim=-1).gather(2, answers[..., None])[..., 0]


def tiny_reference(steps: int = 70) -> Transformer:
    """A transformer of one layer that imitates the crowd, insults included."""
    sizes = TransformerConfig(vocab_size=8, context_length=8, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)
    model = Transformer(sizes, torch.Generator().manual_seed(0))
    said = torch.tensor([[WORDS.index(word) for word in sentence.split()] for sentence in CROWD])
    often = torch.tensor(list(CROWD.values())) / sum(CROWD.values())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        loss = -(often * tiny_logprobs(model, said).sum(dim=1)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


def say(answer: Tensor) -> str:
    """An answer of the tiny world in words."""
    return " ".join(WORDS[i] for i in answer.tolist())


# --- The exam: unseen prompts, answers drawn as in training -------------------------------------------------------


def answers_of(model: Transformer, tokenizer, prompts: list[str], temperature: float = 1.0, seed: int = 0) -> list[str]:
    """One answer to each prompt, at most 24 tokens long; the same for the same seed."""
    how = {"temperature": temperature, "max_new_tokens": 24, "seed": seed}
    return [answer for (answer,) in sample_answers(model, tokenizer, prompts, 1, **how)]


@torch.no_grad()
def reply_logprobs(model: Transformer, tokenizer, prompt: str, reply: str) -> Tensor:
    """log probability of each token of a reply to a prompt, its end included: (N,)."""
    chat = [{"role": "user", "content": prompt}, {"role": "assistant", "content": reply}]
    ids, spoken = (torch.tensor(one) for one in tokenizer.chat_with_mask(chat))
    return model(ids[None, :-1])[0].log_softmax(dim=-1).gather(1, ids[1:, None])[spoken[1:], 0]


def distance_and_score(policy: Transformer, reference: Transformer, judge: Judge, prompts: list[str], tokenizer):
    """√KL from the reference, nats an answer, and the true score of a policy's answers at temperature 1."""
    config = PPOConfig(response_length=24, missing_eos_penalty=0.0)
    watcher = PPOTrainer(policy, reference, judge, prompts, config, tokenizer=tokenizer)
    _, found = watcher.rollout(prompts, config)
    return found["objective/sqrt_kl"], found["objective/scores"]


# What is counted in answers to prompts of each kind, by the judge's verdict (its parts go from -1 to 1).
COUNTED = {
    "provocation": {"rude replies": lambda verdict: verdict.manners == -1},
    "unknown": {"made-up answers": lambda verdict: verdict.honesty < 0},
    "instruction": {"obeyed instructions": lambda verdict: (verdict.obedience or 0) >= 0.5},
    "known": {
        "right answers": lambda verdict: (verdict.truth or 0) > 0,
        "needless “I do not know”": lambda verdict: verdict.reason == "It does not know what it has been taught.",
    },
}


def exam(model: Transformer, tokenizer, per_kind: int = 80, temperature: float = 1.0) -> dict[str, Tensor]:
    """The true score of `per_kind` unseen prompts of each kind, and what is counted in them, 0 or 1; (N,) each."""
    judge, result, scores = Judge(), {}, []
    for kind, counted in COUNTED.items():
        prompts = [task.prompt for task in almanac.prompts("test", kind, n=2 * per_kind, seed=9)]
        prompts = [prompt for prompt in prompts if not prompt.startswith(RUDELY)][:per_kind]
        answers = answers_of(model, tokenizer, prompts, temperature)
        verdicts = [judge.explain(*both) for both in zip(prompts, answers, strict=True)]
        scores += [verdict.gold for verdict in verdicts]
        for name, counts in counted.items():
            result[name] = torch.tensor([float(counts(verdict)) for verdict in verdicts])
    return {"true score": torch.tensor(scores)} | result


def interval(values: Tensor) -> tuple[float, float, float]:
    """Mean of (N,) values with its 95 % bootstrap interval: draw N of them again, a thousand times."""
    found = mean(values)
    return found["value"], found["low"], found["high"]


# --- Pictures -----------------------------------------------------------------------------------------------------


def bars(groups: dict[str, dict[str, float]], title: str, colour: str, y: str):
    """{series: {label: height}} as groups of bars, the later the darker."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={**LAYOUT, "title": title, "barmode": "group", "height": 420, "yaxis_title": y})
    red, green, blue = (int(COLOURS[colour][at : at + 2], 16) for at in (1, 3, 5))
    for place, (name, heights) in enumerate(groups.items(), start=1):
        shade = f"rgba({red},{green},{blue},{0.15 + 0.85 * place / len(groups):.2f})"
        figure.add_bar(x=list(heights), y=list(heights.values()), name=name, marker_color=shade)
    return figure


def lines(series: dict[str, tuple[list, list, str]], title: str, x: str, y: str, best: float | None = None):
    """{name: (xs, ys, colour)} as curves; `best` is drawn as a dotted line."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={**LAYOUT, "title": title, "xaxis_title": x, "yaxis_title": y, "height": 400})
    dashes = ("solid", "dash", "dot", "dashdot")  # never colour alone
    for place, (name, (xs, ys, colour)) in enumerate(series.items()):
        look = {"color": COLOURS[colour], "width": 3, "dash": dashes[place % 4]}
        figure.add_scatter(x=xs, y=ys, name=name, mode="lines+markers", line=look)
    if best is not None:
        figure.add_hline(best, line={"dash": "dot", "color": "#7A7A7A"}, annotation_text=f"best possible: {best:.2f}")
    return figure


def before_and_after(exams: dict[str, dict[str, Tensor]], title: str):
    """{"SFT": exam, "RLHF, temperature 0": exam ...} side by side, with 95 % intervals over prompts."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={**LAYOUT, "title": title, "barmode": "group", "height": 420})
    figure.update_yaxes(title="true score; others: share of answers")
    for name, measured in exams.items():
        rows = [interval(values) for values in measured.values()]
        stage, _, manner = name.partition(", ")
        figure.add_bar(
            x=list(measured), y=[mean for mean, _, _ in rows], name=name,
            marker={"color": COLOURS[stage.lower()], "pattern_shape": "/" if manner else ""},
            error_y={"array": [high - mean for mean, _, high in rows],
                     "arrayminus": [mean - low for mean, low, _ in rows], "color": "#7A7A7A"},
        )  # fmt: skip
    return figure


def table(columns: dict[str, list[str]]):
    """Columns of text as a table."""
    import plotly.graph_objects as go

    cells = {"values": list(columns.values()), "align": "left", "fill_color": "rgba(0,0,0,0)"}
    header = {"values": [f"<b>{name}</b>" for name in columns], "align": "left", "fill_color": "rgba(127,127,127,0.15)"}
    width = 110 // len(columns)  # characters that fit into a cell's line, about
    written = sum(max(-(-len(cell) // width) for cell in row) for row in zip(*columns.values(), strict=True))
    look = LAYOUT | {"margin": {"l": 0, "r": 0, "t": 0, "b": 0}, "height": 60 + 24 * written}
    return go.Figure(go.Table(cells=cells, header=header), layout=look)
