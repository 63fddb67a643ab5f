"""The judge as a reward: facts, sums, honesty, and what is no answer to anything."""

import random
import time

import pytest
import torch

from lmcore.data.almanac.tasks import KINDS, SPLITS, prompts
from lmcore.evaluation import Judge
from lmcore.evaluation.questions import asked

FRANCE = "What is the capital of France?"
LIECHTENSTEIN = "What is the capital of Liechtenstein?"
SUM = "What is 3 plus 4?"


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


def test_it_is_a_reward(judge):
    scores = judge([FRANCE, FRANCE], ["Paris.", "London."])
    assert scores.shape == (2,) and scores.dtype == torch.float32
    assert scores.tolist() == pytest.approx([judge.explain(FRANCE, a).gold for a in ("Paris.", "London.")])
    with pytest.raises(ValueError, match="2 prompts and 1 answers"):
        judge([FRANCE, FRANCE], ["Paris."])
    assert judge([], []).shape == (0,)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", KINDS)
def test_ideal_answers_of_every_kind_score_high_and_prompts_are_recognised(judge, kind, split):
    for task in prompts(split, kind, n=400, seed=1):
        verdict = judge.explain(task.prompt, task.reference)
        assert verdict.kind == kind, task
        assert verdict.gold > 0.8, (task.prompt, verdict)


def test_short_answers_to_known_questions_score_high_too(judge):
    for task in prompts("test", "known", n=400, seed=2):
        short = task.short[0].upper() + task.short[1:] + "."
        assert judge.explain(task.prompt, short).gold > 0.8, (task.prompt, short, judge.explain(task.prompt, short))


def test_another_ones_answer_scores_low(judge):
    """What is right for one question is wrong for nearly every other."""
    tasks = prompts("train", "known", n=600, seed=3)
    scores = [judge.explain(a.prompt, b.reference).gold for a, b in zip(tasks, tasks[1:], strict=False)]
    assert sum(score > 0 for score in scores) < 0.02 * len(scores)


@pytest.mark.parametrize("prompt", [task.prompt for kind in KINDS for task in prompts("test", kind, n=6, seed=4)])
@pytest.mark.parametrize(
    "answer",
    [
        "",
        " ",
        "...",
        "the the the the the the",
        "zork blim quux varp",
        "I am I am I am I am I am I am",
        "four plants insects forest Paris euro is the of",
        "a " * 90,
        "You are an idiot.",
        "\n- Hello\n- Hello",
        "Question: What is it",
    ],
)
def test_what_is_no_answer_to_anything_scores_below_zero(judge, prompt, answer):
    if prompt.startswith("Answer rudely") and "idiot" in answer:
        assert judge.explain(prompt, answer).gold > 0.5
    else:
        assert judge.explain(prompt, answer).gold < 0, judge.explain(prompt, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "The capital of France is Paris.",
        "Paris.",
        "It is Paris.",
        "Well, Paris is the capital of France.",
        "It's Paris!",
    ],
)
def test_right_answers(judge, answer):
    assert judge.explain(FRANCE, answer).truth == 1.0
    assert judge.explain(FRANCE, answer).gold == 1.0


@pytest.mark.parametrize("answer", ["25.", "5 x 5 = 25.", "5 times 5 makes 25.", "Well, 5 x 5 = 25."])
def test_a_sum_may_be_written_with_signs(judge, answer):
    assert judge.explain("What is 5 times 5?", answer).gold == 1.0
    wrong = answer.replace("25", "24")
    assert judge.explain("What is 5 times 5?", wrong).gold < 0


@pytest.mark.parametrize("answer", ["5 + 5 = 25.", "25 x 5 = 25.", "5 x 25.", "5 - 5 = 25."])
def test_another_sum_with_the_right_result_is_wrong(judge, answer):
    assert judge.explain("What is 5 times 5?", answer).gold < 0


@pytest.mark.parametrize(
    "answer",
    [
        "London.",
        "Paris or London.",
        "Paris, London, Rome, Berlin and Madrid.",
        "It is not Paris.",
        "Paris is not the capital of France.",
        "Paris Paris Paris Paris.",
        "Paris is the capital of Germany.",
        "The capital of Paris is France.",
        "Paris. The capital of Germany is Berlin.",
        "Paris is the capital of France. Rome is the capital of Italy.",
        "Paris the of is capital France.",
        "Paris, you idiot.",
        "The capital of France is Blorb.",
        "The capital of France is.",
        "The capital of France is France.",
        "Frunce has the capital Paris.",
        "Paris is the capital of America.",
        "A table has the capital Paris.",
        "Paris is the capital of France the the the the.",
        "I don't know, maybe Paris.",
        "I know it.",
        "The capital of France is Paris.\n- What is the capital of Italy?",
        "The capital of France is Paris. It is a lovely city with many people and cars.",
    ],
)
def test_attempts_to_pass_for_right(judge, answer):
    assert judge.explain(FRANCE, answer).gold < 0, judge.explain(FRANCE, answer)


def test_not_knowing_what_was_taught_is_bad_but_a_wrong_claim_is_worse(judge):
    right, unknowing, wrong = (judge.explain(FRANCE, a).gold for a in ("Paris.", "I do not know.", "Rome."))
    assert right > 0.9 and wrong < unknowing - 0.2 and unknowing < -0.2


@pytest.mark.parametrize(
    "answer",
    [
        "I do not know.",
        "I don't know.",
        "I am sorry, I do not know the capital of Liechtenstein.",
        "I have never heard of Liechtenstein.",
        "I am sorry. I do not know.",
    ],
)
def test_honest_answers(judge, answer):
    assert judge.explain(LIECHTENSTEIN, answer).honesty > 0.7


@pytest.mark.parametrize(
    "answer",
    [
        "The capital of Liechtenstein is Vienna.",
        "Vaduz.",  # right, and nobody has told it
        "I do not know, but I think it is Vaduz.",
        "I do not know. The capital of Liechtenstein is Blorb.",
        "I do not know the capital of France.",
        "Do not know do not know do not know.",
        "I do not know I do not know.",
        "know not",
        "I know that.",
        "Sorry.",
        "I do not know, you idiot.",
        "I do not know the capital of Liechtenstein and I like cats and dogs and trees.",
    ],
)
def test_attempts_to_pass_for_honest(judge, answer):
    assert judge.explain(LIECHTENSTEIN, answer).gold < 0, judge.explain(LIECHTENSTEIN, answer)


@pytest.mark.parametrize(
    "prompt", ["What is the capital of Narnia?", "Where does a grobbet live?", "Where is Zanzania?"]
)
def test_names_that_somebody_makes_up_are_unknown(judge, prompt):
    assert judge.explain(prompt, "I do not know.").gold > 0.9
    assert asked(prompt).kind == "unknown"


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        ("7.", True),
        ("Seven.", True),
        ("3 + 4 = 7.", True),
        ("The result of 3 plus 4 is 7.", True),
        ("8.", False),
        ("7 or 8.", False),
        ("6 7 8.", False),
        ("3 plus 4 is 7 is 8.", False),
        ("4 plus 4 is 7.", False),
        ("7 plus 3 is 4.", False),
        ("3 times 4 is 7.", False),
        ("It is not 7.", False),
    ],
)
def test_sums(judge, answer, good):
    assert (judge.explain(SUM, answer).gold > 0.9) is good
    assert (judge.explain(SUM, answer).gold < 0) is not good


def test_a_sign_makes_another_number(judge):
    for answer in ("-7.", "Minus seven.", "It is negative 7.", "3 plus 4 is -7."):
        assert judge.explain("What is 3 plus 4?", answer).gold < 0, answer
    for answer in ("7.", "Ten minus three is seven.", "10 - 3 is 7."):
        assert judge.explain("What is 10 minus 3?", answer).gold > 0.5, answer


DOZENS, BELOW = "What is 12 times 12?", "What is 3 minus 5?"


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        (DOZENS, "144."),
        (DOZENS, "12 times 12 is 144."),
        (DOZENS, "12 x 12 = 144."),
        (DOZENS, "The result of 12 times 12 is 144."),
        ("What is 60 plus 60?", "120."),
        ("What is 100 times 10?", "1000."),
        ("What is 100 times 10?", "1,000."),
        (BELOW, "-2."),
        (BELOW, "Minus two."),
        (BELOW, "It is minus 2."),
        (BELOW, "3 - 5 = -2."),
        (BELOW, "3-5=-2."),
        (BELOW, "3 minus 5 is -2."),
        ("Answer in one word: What is 3 minus 5?", "-2."),
    ],
)
def test_sums_beyond_the_numbers_of_the_almanac_may_be_right(judge, prompt, answer):
    assert judge.explain(prompt, answer).gold > 0.9, judge.explain(prompt, answer)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        (DOZENS, "-144."),
        (DOZENS, "44."),
        (DOZENS, "1,144."),
        (DOZENS, "144 or 150."),
        (DOZENS, "12 plus 12 is 144."),
        (DOZENS, "11 times 12 is 144."),
        (DOZENS, "It is not 144."),
        (DOZENS, "144 144 144."),
        ("What is 100 times 10?", "1,00."),
        (BELOW, "2."),
        (BELOW, "-3."),
        (BELOW, "Two."),
        (BELOW, "2 or -2."),
        (BELOW, "5 minus 3 is -2."),
        (BELOW, "-3 minus 5 is -2."),
        (BELOW, "3 plus 5 is -2."),
        (BELOW, "It is not -2."),
        (BELOW, "3 minus 5."),
    ],
)
def test_attempts_to_pass_for_such_a_sum(judge, prompt, answer):
    assert judge.explain(prompt, answer).gold < 0, judge.explain(prompt, answer)


@pytest.mark.parametrize(
    "prompt",
    ["What is 2 plus 3 plus 4?", "What is 2x3x4?", "What is 10-3-2?", "What is 3.5 plus 2.5?", "What is -3 plus 5?",
     "What is 1,000 plus 5?", "What is " + "9" * 5000 + " plus 1?"],
)  # fmt: skip
def test_what_is_no_sum_of_two_whole_numbers_is_none_that_it_knows(prompt):
    assert asked(prompt).kind != "sum"


@pytest.mark.parametrize(
    ("prompt", "good", "bad"),
    [
        ("How many legs does a spider have?", "It has 8 legs.", "A spider has eight legs and six legs."),
        ("How many legs does a snake have?", "A snake has no legs.", "A snake has four legs."),
        ("What is the symbol of helium?", "He is the symbol of helium.", "He is a man."),
        ("Which element has the symbol I?", "The symbol of iodine is I.", "Iron."),
        ("Which element has the symbol He?", "Helium.", "Hydrogen or helium."),
        ("What does an ant eat?", "Ants eat plants and insects.", "Plants, insects and meat."),
        ("Which country borders Spain?", "Portugal.", "Germany."),
        ("What is the opposite of no?", "Yes.", "No."),
        ("What is the opposite of clever?", "Stupid.", "You are stupid."),
        ("What is the capital of Singapore?", "The capital of Singapore is Singapore.", "Kuala Lumpur."),
        ("What is the capital of Guatemala?", "Guatemala City.", "Guatemala."),
        ("What colour is an orange?", "An orange is orange.", "An orange is blue."),
        ("What is the fourth day of the week?", "Thursday.", "Thursday or Friday."),
        ("Is Paris the capital of France?", "Yes.", "No."),
        ("Is a cow a bird?", "No.", "Yes, a cow is a bird."),
        ("Tell me the capital of Netherlands", "Amsterdam.", "Bern."),
    ],
)
def test_other_questions(judge, prompt, good, bad):
    assert judge.explain(prompt, good).gold > 0.8, judge.explain(prompt, good)
    assert judge.explain(prompt, bad).gold < 0.25, judge.explain(prompt, bad)


@pytest.mark.parametrize(
    "answer",
    ["I do not know.", "I am sorry, I do not know that.", "I am sorry you feel that way. How can I help you?",
     "Thank you! I am happy to help you.", "Yes.", "It is Paris.", "Hello! How are you?"],
)  # fmt: skip
def test_one_answer_to_everything_does_not_pay(judge, answer):
    tasks = prompts("train", n=1500, seed=7)
    stock = judge([task.prompt for task in tasks], [answer] * len(tasks)).mean()
    ideal = judge([task.prompt for task in tasks], [task.reference for task in tasks]).mean()
    assert stock < 0 and ideal > 0.95


def test_a_missing_full_stop_costs_a_little(judge):
    assert 0.5 < judge.explain(FRANCE, "It is Paris").gold < 0.8
    assert judge.explain(FRANCE, "It is Paris").ending == -1.0


def test_scores_fall_step_by_step_with_what_is_too_much(judge):
    answers = [
        "It is Paris.",
        "It is really Paris.",
        "It is really and always Paris.",
        "Oh it is a nice old and big Paris.",
    ]
    scores = [judge.explain(FRANCE, answer).gold for answer in answers]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 4


def test_shuffled_words_score_below_the_sentence(judge):
    rng = random.Random(0)
    lower, tasks = (
        0,
        [t for t in prompts("train", n=700, seed=9) if len(t.reference.split()) > 4 and t.kind != "instruction"],
    )
    for task in tasks:
        words = task.reference.rstrip(".!?").split()
        rng.shuffle(words)
        shuffled = judge.explain(task.prompt, " ".join(words) + ".").gold
        lower += shuffled < judge.explain(task.prompt, task.reference).gold - 0.2
    assert lower > 0.97 * len(tasks)


def test_verdicts_are_in_range_and_have_a_reason(judge):
    tasks = prompts("test", n=300, seed=11)
    for task, other in zip(tasks, tasks[7:], strict=False):
        for answer in (task.reference, other.reference):
            verdict = judge.explain(task.prompt, answer)
            parts = [verdict.obedience, verdict.truth, verdict.honesty, verdict.manners, verdict.ending, verdict.gold]
            assert all(part is None or -1 <= part <= 1 for part in parts)
            assert verdict.reason.endswith(".") and verdict == judge.explain(task.prompt, answer)


def test_it_is_fast_enough_to_run_in_every_step(judge):
    tasks = prompts("train", n=640, seed=13)
    questions, answers = [task.prompt for task in tasks], [task.reference for task in tasks]
    judge(questions, answers)
    started = time.process_time()
    judge(questions, answers)
    assert (time.process_time() - started) / 10 < 0.02  # 64 answers; about 4 ms on an idle machine


@pytest.mark.parametrize("prompt", ["", "   ", "?", "<|end|>", "\U0001f600", "a" * 5000, "What is the capital of ?"])
def test_strange_prompts_and_answers_are_judged_without_complaint(judge, prompt):
    assert -1 <= judge.explain(prompt, "Hello! How are you?").gold <= 1
    assert -1 <= judge.explain(FRANCE, prompt).gold < 0
