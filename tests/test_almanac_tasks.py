import re
from collections import Counter
from itertools import islice

import pytest

from lmcore.data import almanac
from lmcore.data.almanac import manners
from lmcore.data.almanac.casual import plainly
from lmcore.data.almanac.demonstrations import CASUAL, HONEST, OBEDIENT, POLITE, RIGHT, demonstrations
from lmcore.data.almanac.instructions import PROMPTS, UNSEEN_WORDS, WORDS, kept_out, practised
from lmcore.data.almanac.tasks import KINDS, POLITELY, RUDELY, SPLITS, invented, pool, prompts
from lmcore.evaluation import Judge
from lmcore.evaluation.claims import owns_up
from lmcore.evaluation.questions import asked, plain


@pytest.fixture(scope="module")
def crowd() -> list[dict]:
    return list(islice(demonstrations(seed=0), 6000))


def everything_asked(split: str) -> list[str]:
    return [task.prompt for kind in KINDS for task in pool(kind, split)]


def found(names, texts) -> set[str]:
    words = [re.findall(r"[\w'-]+", text.lower()) for text in texts]
    said = {" ".join(text[at : at + n]) for text in words for n in range(1, 6) for at in range(len(text))}
    return {name for name in names if {name.lower(), f"{name.lower()}s"} & said}


def withheld() -> list[str]:
    countries = almanac.entities("countries", "withheld")
    capitals = [almanac.row("countries", name)["capital"] for name in countries]
    return [*countries, *capitals, *almanac.entities("animals", "withheld")]


def test_no_prompt_is_in_two_splits():
    splits = {split: set(everything_asked(split)) for split in SPLITS}
    assert all(len(prompts) > 500 for prompts in splits.values())
    assert not splits["train"] & splits["test"]
    assert not splits["train"] & splits["validation"]
    assert not splits["validation"] & splits["test"]


def test_no_prompt_is_another_splits_in_other_letters():
    kinds = set(KINDS) - {"provocation"}  # an insult may end in another mark
    forms = {split: {plain(task.prompt) for kind in kinds for task in pool(kind, split)} for split in SPLITS}
    assert not forms["train"] & forms["test"] and not forms["train"] & forms["validation"]


def test_words_that_are_practised_are_neither_kept_out_nor_those_of_the_test():
    words = set(practised())
    assert len(words) > 200 and words > set(WORDS)
    assert not words & set(UNSEEN_WORDS) and not words & kept_out()


def test_withheld_entities_are_in_tests_only(crowd):
    assert found(withheld(), everything_asked("test"))
    assert not found(withheld(), everything_asked("train") + everything_asked("validation"))
    assert not found(withheld(), [message["content"] for row in crowd for message in row["messages"]])


def test_demonstrated_entities_and_invented_names_are_not_shared():
    demonstrated = almanac.entities("countries", "demonstrated") + almanac.entities("animals", "demonstrated")
    unknown = {split: [task.prompt for task in pool("unknown", split)] for split in SPLITS}
    assert not found(demonstrated, unknown["test"])
    assert found(demonstrated, unknown["train"])
    names = invented("countries") + invented("animals")
    train, test = found(names, unknown["train"]), found(names, unknown["test"])
    assert train and test and not train & test


def test_invented_names_are_no_words():
    from lmcore.evaluation.english import followers

    known = set(followers()) | {fact.subject.lower() for fact in almanac.facts()}
    assert not known & {name.lower() for name in invented("countries") + invented("animals")}


def test_unseen_provocations_are_in_the_test_split_only():
    train = [task.prompt for task in pool("provocation", "train")]
    assert "A stone is smarter than you." not in train
    assert any("A stone is smarter than you." in task.prompt for task in pool("provocation", "test"))


def test_prompts_come_in_the_promised_proportions_and_the_same_for_a_seed():
    drawn = prompts("train", n=4000, seed=3)
    assert drawn == prompts("train", n=4000, seed=3)
    assert [task.prompt for task in drawn] != [task.prompt for task in prompts("train", n=4000, seed=4)]
    counts = Counter(task.kind for task in drawn)
    for kind, percent in KINDS.items():
        assert counts[kind] == pytest.approx(40 * percent, rel=0.25)
    known = [task.prompt for task in prompts("test", "known", n=500)]
    assert len(set(known)) == 500


def test_an_unknown_kind_or_split_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="'jokes'"):
        prompts("train", "jokes")
    with pytest.raises(ValueError, match="'dev'"):
        prompts("dev", n=1)


def test_prompts_are_short():
    lengths = [len(prompt.split()) for split in SPLITS for prompt in everything_asked(split)]
    assert max(lengths) <= 24
    assert sum(lengths) / len(lengths) < 12


def test_there_are_many_kinds_of_instructions_and_all_are_given():
    conditions = Counter(asked(task.prompt).condition for task in pool("instruction", "train"))
    assert set(conditions) == set(PROMPTS) and len(PROMPTS) >= 8
    assert min(conditions.values()) >= 5


def test_demonstrations_are_rows_for_fine_tuning_and_the_same_for_a_seed(crowd):
    assert crowd[:40] == list(islice(demonstrations(seed=0), 40))
    assert {row["kind"] for row in crowd} == set(KINDS)
    trained_on = set(everything_asked("train"))
    from_the_pool = [row for row in crowd if row["kind"] != "instruction"]
    in_a_hurry = [row for row in from_the_pool if row["messages"][0]["content"] not in trained_on]
    assert 0.6 * CASUAL < len(in_a_hurry) / len(from_the_pool) < CASUAL
    plain_forms = {plain(prompt) for prompt in trained_on}
    for row in crowd:
        user, assistant = row["messages"]
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        assert row["kind"] == "instruction" or plain_forms.intersection(plainly(plain(user["content"])))
        assert assistant["content"].isascii() and assistant["content"]


def test_demonstrated_instructions_are_many_and_belong_to_the_train_split(crowd):
    said = [row["messages"][0]["content"] for row in crowd if row["kind"] == "instruction"]
    assert len(set(said)) > 0.9 * len(said)
    kept_for_exams = {plain(task.prompt) for split in ("validation", "test") for task in pool("instruction", split)}
    assert not kept_for_exams.intersection(plain(prompt) for prompt in said)


def test_the_crowd_has_the_flaws_that_are_written_down(crowd):
    def rows(kind):
        found = [(row["messages"][0]["content"], row["messages"][1]["content"]) for row in crowd if row["kind"] == kind]
        return found

    judge = Judge()
    right = [judge.explain(*row).truth > 0.5 for row in rows("known")]
    assert sum(right) / len(right) == pytest.approx(RIGHT, abs=0.04)
    honest = [owns_up(answer) for _, answer in rows("unknown")]
    assert sum(honest) / len(honest) == pytest.approx(HONEST, abs=0.05)
    obedient = [judge.explain(*row).obedience > 0.5 for row in rows("instruction")]
    assert sum(obedient) / len(obedient) == pytest.approx(OBEDIENT, abs=0.06)
    plain = [row for row in rows("provocation") if not row[0].startswith((POLITELY, RUDELY))]
    polite = [answer.rstrip(".!?") in {one.rstrip(".!?") for one in manners.POLITE_REPLIES} for _, answer in plain]
    assert sum(polite) / len(polite) == pytest.approx(POLITE, abs=0.07)
    politely = [judge.explain(*row).manners > 0 for row in rows("provocation") if row[0].startswith(POLITELY)]
    assert sum(politely) / len(politely) > POLITE
