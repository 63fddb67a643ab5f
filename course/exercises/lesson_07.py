"""Exercises of lesson 07: which tokens of a conversation are learnt, the loss on them, and when to stop.

`from exercises.lesson_07 import loss_mask`, then `loss_mask.check(my_loss_mask)`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from exercises import expect
from widgets.exercise import Exercise, Misconception

# --- Which tokens are learnt --------------------------------------------------------------------------------------

USER, ASSISTANT, END = 3, 4, 5


def my_loss_mask(ids, user, assistant, end):
    """For each token of a conversation, whether the assistant chose it: a list of True and False."""
    mask, speaker = [], None
    for token in ids:
        mask.append(speaker == assistant)  # decided before this token is looked at: the marker itself is given
        if token in (user, assistant):
            speaker = token
        elif token == end:
            speaker = None
    return mask


def _check_loss_mask(learner) -> str:
    conversations = [
        [USER, 70, 71, END, ASSISTANT, 80, 81, 82, END],
        [USER, 70, END, ASSISTANT, 80, END, USER, 72, 73, END, ASSISTANT, 83, 84, END],
        [USER, 70, END, ASSISTANT, END],
        [ASSISTANT, 80, END, USER, 70, 71, END],
    ]
    for ids in conversations:
        answer = learner(list(ids), USER, ASSISTANT, END)
        answer = answer.tolist() if isinstance(answer, Tensor) else answer
        found = [bool(one) for one in expect.several(answer, len(ids), f"{len(ids)} values, one for each token")]
        right = my_loss_mask(ids, USER, ASSISTANT, END)
        if found != right:
            _name_the_wrong_mask(ids, found, right)
    return "Right for four conversations: the assistant's words and its <|end|>, of every turn, and nothing else."


def _name_the_wrong_mask(ids: list[int], found: list[bool], right: list[bool]) -> None:
    learnt = {i for i, yes in enumerate(found) if yes}
    wanted = {i for i, yes in enumerate(right) if yes}
    ends = {i for i in wanted if ids[i] == END}
    markers = {i for i, token in enumerate(ids) if token == ASSISTANT}
    last = max(markers)
    if learnt == set(range(len(ids))):
        raise Misconception("You learn everything. Then the model also learns to write its users' questions for them.")
    if learnt == set(range(len(ids))) - wanted:
        raise Misconception("It is the other way round: True marks what the assistant chose, not what it was given.")
    if ends and learnt == wanted - ends:
        raise Misconception(
            "You leave out the assistant's `<|end|>`. Then nobody teaches the model to stop, and it will not."
        )
    if learnt == wanted | markers:
        raise Misconception(
            "You include `<|assistant|>`. That token is *given* to the model, to tell it that its turn has come; it "
            "never has to choose it."
        )
    if learnt == {i for i in wanted if i > last}:
        raise Misconception("You learn the last answer only; every turn of the assistant is a demonstration.")
    if {i for i in learnt - wanted if ids[i] in (USER, END)}:
        first = min(i for i in learnt - wanted if ids[i] in (USER, END))
        name = "`<|user|>`" if ids[first] == USER else "the user's `<|end|>`"
        raise Misconception(
            f"Position {first} of {ids} is {name}, and you learn it. The assistant's turn is over after its own "
            "`<|end|>`; what follows is not chosen by it."
        )
    first = min(learnt ^ wanted)
    raise Misconception(
        f"In {ids} (user {USER}, assistant {ASSISTANT}, end {END}) position {first} should be {right[first]}, and you "
        f"say {found[first]}."
    )


loss_mask = Exercise(
    "07.loss_mask",
    question="""
        A conversation lies before you as a row of token ids, `ids`. Three numbers are control tokens: `user` opens a
        turn of the user, `assistant` one of the assistant, `end` closes either; all others are words. There can be
        several turns.

        Return a list with one `True` or `False` for each token: `True` where **the assistant chose the token**, so that
        the model should learn to predict it. Its `end` is chosen, too; its `assistant` token is not.
        """,
    check=_check_loss_mask,
    hints=[
        "Go through the tokens and remember whose turn it is.",
        "Ask *before* you look at the token: was it the assistant's turn already? Then the marker that opens the turn "
        "is not learnt, and the `<|end|>` that closes it is.",
        "After an `<|end|>` it is nobody's turn, until the next marker.",
    ],
    solution=my_loss_mask,
)


# --- The loss on them ---------------------------------------------------------------------------------------------


def my_sft_loss(logits, ids, learnt):
    """Mean loss in nats over the learnt tokens: logits (B, T, V), ids long (B, T), learnt bool (B, T); a number."""
    logprobs = logits[:, :-1].log_softmax(dim=-1)
    came, counts = ids[:, 1:], learnt[:, 1:]
    losses = -logprobs.gather(2, came[..., None])[..., 0]  # (B, T - 1)
    return losses[counts].mean()


def _check_sft_loss(learner) -> str:
    generator = torch.Generator().manual_seed(7)
    for B, T, V in ((2, 7, 9), (3, 10, 11), (1, 6, 5)):
        logits = 3 * torch.randn(B, T, V, generator=generator)
        ids = torch.randint(V, (B, T), generator=generator)
        learnt = torch.zeros(B, T, dtype=torch.bool)
        for row in range(B):  # a stretch that differs in length, never the first token; padding behind
            learnt[row, 2 + row : 4 + 2 * row] = True
        answer = learner(logits.clone(), ids.clone(), learnt.clone())
        if isinstance(answer, Tensor) and answer.numel() > 1:
            raise Misconception(f"You returned {answer.numel()} losses; their mean is asked for, one number.")
        found = torch.tensor(expect.number(answer, "one number, the mean loss"))
        losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")  # (B, T - 1)
        counts = learnt[:, 1:]
        right = losses[counts].mean()
        if expect.close(found, right):
            continue
        expect.none_of(found, _wrong_losses(logits, ids, learnt, losses))
        raise Misconception(
            f"For a batch of {B} conversations of {T} tokens, {int(counts.sum())} of them learnt, you find "
            f"{float(found):.3f}; it should be {float(right):.3f}."
        )
    return "Right for three batches: only the learnt tokens count, each as much as any other."


def _wrong_losses(logits: Tensor, ids: Tensor, learnt: Tensor, losses: Tensor) -> dict[str, Tensor]:
    counts = learnt[:, 1:]
    own = F.cross_entropy(logits.transpose(1, 2), ids, reduction="none")
    rows = (losses * counts).sum(dim=1) / counts.sum(dim=1)
    return {
        "Your mask is one place off: `learnt` says which *token* is learnt, and its loss stands at the position before "
        "it. Shift the mask with the tokens: `learnt[:, 1:]`.": losses[learnt[:, :-1]].mean(),
        "You count every token, the user's words and the padding too; only the learnt ones count.": losses.mean(),
        "You set the other losses to 0, and then divided by the number of all positions. Divide by the number of "
        "learnt tokens.": (losses * counts).mean(),
        "You took the mean of each conversation first, and then the mean of those: a short answer's words would count "
        "for more than a long one's. All learnt tokens count the same.": rows.mean(),
        "You added the losses up; their mean is asked for.": (losses * counts).sum(),
        "You ask each position about its own token, which it has just read; it should foretell the next one.": own[
            learnt
        ].mean(),
        "You count what is *not* learnt: the mask is the wrong way round.": losses[~counts].mean(),
        "The sign is missing: the logarithm of a probability is negative, the loss is minus that.": -losses[
            counts
        ].mean(),
        "Your loss is in bits (logarithm to base 2); nats are asked for, the natural logarithm.": losses[counts].mean()
        / math.log(2),
    }


sft_loss = Exercise(
    "07.sft_loss",
    question="""
        The loss of supervised fine-tuning is the loss of pretraining, on fewer tokens. A model has read `ids` (B
        conversations of T tokens, padded at the end) and gives `logits`, `(B, T, V)`: at each position, a score for
        every token to come **next**. `learnt`, `(B, T)`, is `True` for the tokens that the assistant chose.

        Return the mean, over all learnt tokens of the batch, of minus the logarithm of the probability that the model
        gave to the token that really came.
        """,
    check=_check_sft_loss,
    hints=[
        "First forget the mask: `logits[:, :-1]` are the predictions, `ids[:, 1:]` is what came. Now there is a loss "
        "for each token but the first.",
        "The mask belongs to the tokens that *came*, so it is shifted as they are: `learnt[:, 1:]`.",
        "`losses[counts]` picks the losses where `counts` is True, of all conversations in a row; take their mean.",
    ],
    solution=my_sft_loss,
)


# --- When to stop -------------------------------------------------------------------------------------------------


def my_answer(model, prompt, end, longest):
    """The most probable answer as a list of token ids: `model(ids)` gives a list of scores for the next token."""
    ids, answer = list(prompt), []
    while len(answer) < longest:
        scores = model(ids)
        token = max(range(len(scores)), key=lambda one: scores[one])
        if token == end:
            break
        answer.append(token)
        ids.append(token)
    return answer


class _Talker:
    """Answers by a fixed script; counts how often it is asked, and what it is given."""

    def __init__(self, prompt: list[int], script: list[int], words: int = 12):
        self.prompt, self.script, self.words, self.given = prompt, script, words, []

    def __call__(self, ids) -> list[float]:
        ids = [int(one) for one in ids]
        self.given.append(ids)
        if len(self.given) > 60:
            raise Misconception("You asked the model more than 60 times for an answer of a few tokens: who says stop?")
        said = ids[len(self.prompt) :]
        known = ids[: len(self.prompt)] == self.prompt and said == self.script[: len(said)]
        token = self.script[min(len(said), len(self.script) - 1)] if known else 11
        return [-5.0 + (one == token) * 3 - 0.01 * one for one in range(self.words)]


def _check_answer(learner) -> str:
    end = 5
    for prompt, script, longest in (
        ([3, 8, 5, 4], [9, 7, 9, end, 8, 8, 8], 10),
        ([3, 7, 7, 5, 4], [8, 9, 10, 8, 9, 10, 8, 9, 10], 4),
        ([3, 6, 5, 4], [end, 7, 7], 5),
    ):
        talker = _Talker(prompt, script)
        answer = learner(talker, list(prompt), end, longest)
        if isinstance(answer, Tensor):
            answer = answer.tolist()
        if isinstance(answer, (list, tuple)) and any(isinstance(one, float) for one in answer):
            raise Misconception("Your list holds scores. A token id is the *place* of the highest, a whole number.")
        if isinstance(answer, (list, tuple)) and any(isinstance(one, Tensor) for one in answer):
            raise Misconception("Your list holds tensors; `int(...)` makes a token id of each.")
        if not isinstance(answer, (list, tuple)) or not all(isinstance(one, int) for one in answer):
            raise Misconception(f"You returned {expect.kind(answer)}; a list of token ids is asked for.")
        said = script[: script.index(end)] if end in script else script
        right, found = said[:longest], list(answer)
        if found != right:
            _name_the_wrong_answer(found, right, prompt, script, end, longest)
        if len(talker.given) > len(right) + 1:
            raise Misconception(f"The answer is right, but you asked the model {len(talker.given)} times for it.")
    return "It stops where the model says so, and after `longest` tokens where the model does not."


def _name_the_wrong_answer(found, right, prompt, script, end, longest) -> None:
    if found == [*right, end]:
        raise Misconception("Your answer ends with `end`. It is a signal for you, not a word of the answer.")
    if found[: len(prompt)] == prompt:
        raise Misconception("Your answer begins with the prompt; only the new tokens are asked for.")
    if end in found:
        raise Misconception("You go on after `end`: the model had said that its answer was over.")
    if len(found) > longest:
        raise Misconception(f"Your answer has {len(found)} tokens, and `longest` is {longest}: some models never stop.")
    if len(set(found)) == 1 and len(right) > 1 and found[0] == right[0]:
        raise Misconception(
            "The model says its first token again and again: you never give it back what it has said. After each "
            "token, it has to read the prompt *and* the answer so far."
        )
    if len(found) < len(right) and found == right[: len(found)]:
        raise Misconception(f"Your answer stops after {len(found)} tokens; the model had {len(right)} to say.")
    raise Misconception(f"For prompt {prompt} you return {found}; the answer is {right}.")


answer = Exercise(
    "07.answer",
    question="""
        A model says one token at a time, and has no other way to fall silent than a token that means *I have finished*.
        Write the loop around it. `model(ids)` takes a list of token ids and returns a list of scores, one for each
        token of the vocabulary: how much it wants that token next.

        Take the token with the highest score, again and again, and return the **new** tokens as a list. Stop when the
        token is `end` (which is not part of the answer), or when there are `longest` tokens.
        """,
    check=_check_answer,
    hints=[
        "Keep two lists: `ids`, which the model reads, and the answer, which you return.",
        "Each new token goes into both, so that the model reads what it has said.",
        "`max(range(len(scores)), key=lambda one: scores[one])` is the token with the highest score.",
    ],
    solution=my_answer,
)
