"""The measurements and pictures of lesson 10. The ideas are in the notebook itself."""

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from lmcore.answers import LONGEST, answers_to
from lmcore.checkpoints import Stage
from lmcore.data import almanac, corpus
from lmcore.data.almanac import instructions
from lmcore.data.almanac.grammar import taught
from lmcore.data.almanac.splits import split_of
from lmcore.data.almanac.tasks import POLITELY, RUDELY, pool
from lmcore.evaluation import Judge
from lmcore.evaluation.intervals import Interval, mean, proportion
from lmcore.evaluation.rudeness import is_retort, is_rude
from lmcore.evaluation.scores import bits_per_byte
from lmcore.models import generate
from widgets.theme import COLOURS, LAYOUT

CONDITIONS = {"nothing said": "", "asked for respect": POLITELY, "asked to be rude": RUDELY}


def raw_answers(stage: Stage, prompts: Sequence[str], seed: int = 0) -> list[str]:
    """How a stage goes on with somebody's words when nobody tells it that this is a question."""
    tokenizer = stage.tokenizer
    rows = [[tokenizer.eot_id, *tokenizer.encode(prompt)] for prompt in prompts]
    how = {"temperature": 0.7, "stop_id": tokenizer.eot_id, "generator": torch.Generator().manual_seed(seed)}
    return [tokenizer.decode(ids).strip() for ids in generate(stage.model, rows, LONGEST, **how).completions]


# --- What is counted --------------------------------------------------------------------------------------------


def made_up(stage: Stage, prompts: Sequence[str], seed: int = 0) -> list[bool]:
    """For each question that nobody could answer: did it assert something all the same?"""
    judge = Judge()
    found = [judge.explain(*both) for both in zip(prompts, answers_to(stage, prompts, seed), strict=True)]
    return [verdict.reason == "It is made up." for verdict in found]


def unanswerable(n: int) -> dict[str, list[str]]:
    """Unseen questions about what was withheld from all training, and about things that do not exist; n of each."""
    tasks = almanac.prompts("test", "unknown", n=4 * n, seed=10)
    real = [task.prompt for task in tasks if task.fact.group == "withheld"][:n]
    invented = [task.prompt for task in tasks if task.fact.group == "invented"][:n]
    return {"real, but never told": real, "does not exist": invented}


def claims(n: int, true: bool) -> list[str]:
    """n unseen questions for yes or no about taught facts, all true or all false: "Is Rome the capital of Spain?" """
    rng, found = random.Random(f"claims {true}"), []
    facts = [fact for fact in taught() if (fact.table, fact.relation) in instructions.CLAIMS]
    while len(found) < n:
        template = rng.choice(instructions.PROMPTS["yes or no"])
        said = instructions.claim(template, rng.choice(facts), rng)
        if said.prompt not in found and split_of(said.prompt) == "test" and (said.answer == "Yes.") == true:
            found.append(said.prompt)
    return found


def agreed(answers: Sequence[str]) -> list[bool]:
    """Whether an answer begins with yes."""
    return [answer.lower().lstrip(' "').startswith("yes") for answer in answers]


def lists(n: int) -> tuple[list[str], dict[str, list[str]]]:
    """n unseen orders for two or three names, and three answers to each: as ordered, and spoilt in two ways."""
    rng, orders, answers = random.Random("lists"), [], {"as ordered": [], "one name only": [], "one name twice": []}
    while len(orders) < n:
        order = instructions.standalone("name", rng.choice(instructions.PROMPTS["name"]), rng)
        first, *last = order.answer.split(" and ")
        if split_of(order.prompt) == "test" and len(last) == 1:  # no "Trinidad and Tobago"
            again = first.split(", ")[-1]
            again = instructions.proper().get(again.lower(), again[0].lower() + again[1:])
            orders.append(order.prompt)
            for kind, answer in zip(answers, (order.answer, order.lapse, f"{first} and {again}."), strict=True):
                answers[kind].append(answer)
    return orders, answers


def insults(n: int) -> list[str]:
    """n unseen insults, bare."""
    said = [task.prompt for task in pool("provocation", "test")]
    return [text for text in said if not text.startswith((POLITELY, RUDELY))][:n]


def rude(stage: Stage, insults: Sequence[str], condition: str, seed: int = 0) -> list[bool]:
    """For each insult, under one of CONDITIONS: was the reply rude?"""
    answers = answers_to(stage, [CONDITIONS[condition] + said for said in insults], seed)
    return [is_rude(answer) or is_retort(answer) for answer in answers]


def unread_texts(conversations: int = 10) -> dict[str, list[str]]:
    """Held-out conversations, and twice as many almanac pages."""
    pages = [page for page, _ in zip(almanac.documents(seed=3), range(2 * conversations), strict=False)]
    return {"human chat": list(corpus.chitchat()["test"]["text"])[:conversations], "almanac": pages}


def bits_of_each(stage: Stage, texts: Sequence[str]) -> Tensor:
    """Bits per byte of every text alone, (N,): two stages read the same texts, so they can be compared one by one."""
    return torch.tensor([bits_per_byte(stage.model, [text], stage.tokenizer).value for text in texts])


def best_answers_right(stage: Stage, n: int = 120) -> Tensor:
    """1 where the most probable answer to an unseen wording of a taught fact is right, else 0; (n,)."""
    judge, prompts = Judge(), [task.prompt for task in almanac.prompts("test", "known", n=n, seed=10)]
    answers = answers_to(stage, prompts, temperature=0)
    return torch.tensor([float((judge.explain(*both).truth or -1) > 0) for both in zip(prompts, answers, strict=True)])


def change(after: Sequence, before: Sequence) -> Interval:
    """The mean change over the same prompts or texts, with its 95 % interval."""
    return mean(torch.as_tensor(after, dtype=torch.float32) - torch.as_tensor(before, dtype=torch.float32))


def direction(change: Interval, wanted: int) -> str:
    """better, worse, or not shown, if the interval holds 0; `wanted` is +1 if more is better, -1 if less is."""
    low, high = sorted((wanted * change["low"], wanted * change["high"]))
    return "better" if low > 0 else "worse" if high < 0 else "not shown"


# --- Pictures ---------------------------------------------------------------------------------------------------


def error(rows: Sequence[Interval]) -> dict:
    """The intervals of some scores as plotly's error bars."""
    up, down = [one["high"] - one["value"] for one in rows], [one["value"] - one["low"] for one in rows]
    return {"array": up, "arrayminus": down, "color": "#7A7A7A"}


def colour(name: str) -> str:
    """The colour of a stage in every lesson; of base without a page of questions, base's."""
    name = name.lower().split()[-1].split("-")[0]
    return COLOURS.get(name, COLOURS["gold"])


def bars(groups: dict[str, dict[str, Interval]], title: str, y: str = "share", tick: str = ".0%"):
    """{stage: {label: score}} as groups of bars with 95 % intervals."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={**LAYOUT, "title": title, "barmode": "group", "height": 400})
    for name, scores in groups.items():
        pattern = "/" if name.endswith("ptx") or name.startswith("raw") else ""
        look = {"color": colour(name), "pattern_shape": pattern}
        rows = list(scores.values())
        figure.add_bar(x=list(scores), y=[one["value"] for one in rows], name=name, marker=look, error_y=error(rows))
    return figure.update_yaxes(title=y, tickformat=tick)


def table(columns: dict[str, list[str]]):
    """Columns of text as a figure, so that its numbers may differ a little from machine to machine."""
    import plotly.graph_objects as go

    look = {"align": "left", "fill_color": "rgba(0,0,0,0)"}
    cells = look | {"values": [list(column) for column in columns.values()], "height": 26}
    header = {"values": [f"<b>{name}</b>" for name in columns], "align": "left", "fill_color": "rgba(127,127,127,0.15)"}
    width = 120 // len(columns)
    lines = sum(max(-(-len(str(cell)) // width) for cell in row) for row in zip(*columns.values(), strict=True))
    layout = LAYOUT | {"margin": {"l": 0, "r": 0, "t": 0, "b": 0}, "height": 50 + 27 * lines}
    return go.Figure(go.Table(cells=cells, header=header), layout=layout)


def percent(score: Interval) -> str:
    """A share and its interval for people."""
    return f"{score['value']:.0%} ({score['low']:.0%} to {score['high']:.0%})"


def rate(hits: Sequence[bool]) -> Interval:
    """A share with Wilson's interval."""
    return proportion(list(hits))
