import random
import re
from collections import Counter
from itertools import islice

import pytest

from lmcore.data import almanac
from lmcore.data.almanac import grammar, manners
from lmcore.data.almanac.facts import TABLES
from lmcore.data.almanac.grammar import questions, taught
from lmcore.data.almanac.phrases import RELATIONS
from lmcore.data.almanac.tales import made_up, tale
from lmcore.data.almanac.tasks import SPLITS, invented, pool
from lmcore.data.almanac.wording import can_be_asked_backward, everything, fill, plural, truths, values
from lmcore.evaluation import Judge

COUNT = 9_000  # a tenth of them are tales, which carry no fact


@pytest.fixture(scope="module")
def documents() -> list[str]:
    return list(islice(almanac.documents(seed=5), COUNT))


def names_in(names, text: str) -> set[str]:
    words = re.findall(r"[\w'-]+", text.lower())
    said = {" ".join(words[at : at + length]) for length in range(1, 6) for at in range(len(words))}
    return {name for name in names if name.lower() in said}


def test_documents_are_the_same_for_a_seed_and_others_for_another(documents):
    assert list(islice(almanac.documents(seed=5), 50)) == documents[:50]
    assert list(islice(almanac.documents(seed=6), 50)) != documents[:50]


def test_documents_are_short_plain_text(documents):
    for document in documents:
        assert document.isascii()
        assert 1 <= len(document.splitlines()) <= 12
        assert all(line.strip() == line and line for line in document.splitlines()), document
        assert "{" not in document and "  " not in document, document


def test_names_that_are_kept_out_never_occur(documents):
    kept_out = almanac.names_kept_out()
    assert names_in(kept_out, "He met an okapi in Vaduz.") == {"okapi", "Vaduz"}  # the search itself works
    assert names_in(kept_out, "\n".join(documents)) == set()
    made_up = invented("countries") + invented("animals")
    assert names_in(made_up, "\n".join(documents)) == set()


def test_questions_of_the_other_splits_never_occur(documents):
    kept = {task.prompt for split in ("validation", "test") for kind in ("known", "sum") for task in pool(kind, split)}
    asked = {re.sub(r"^(Question: |Q: |- )", "", line) for document in documents for line in document.splitlines()}
    assert len(asked & {task.prompt for task in pool("known", "train")}) > 1000
    assert asked & kept == set()


def test_who_checks_a_claim_is_right(documents):
    true = {fill(template, fact) for fact in taught() for template in RELATIONS[fact.table, fact.relation].statements}
    claims = [
        re.fullmatch(r"True or false\? (.+) (True|False)\.", line) for page in documents for line in page.split("\n")
    ]
    said = [(found[1] in true, found[2] == "True") for found in claims if found]
    assert len(said) > 500 and all(is_true == called_true for is_true, called_true in said)
    judge = Judge()
    answers = [re.fullmatch(r"Asked: (.+?) Said: (.+?) (Right|Wrong)\.(?: .+)?", line)
               for page in documents for line in page.split("\n")]  # fmt: skip
    graded = [(judge.explain(found[1], found[2]).truth > 0, found[3] == "Right") for found in answers if found]
    assert len(graded) > 200 and sum(a == b for a, b in graded) / len(graded) > 0.99


def test_every_taught_fact_is_met_evenly_often(documents):
    met = Counter(re.split(r"(?<=[.!?])\s+", "\n".join(documents)))
    exposures = {
        fact: sum(met[fill(template, fact)] for template in RELATIONS[fact.table, fact.relation].statements)
        for fact in taught()
        if fact.relation not in ("neighbours", "result")  # told less often on purpose, or known in other forms
    }
    assert len(exposures) > 2000
    assert min(exposures.values()) >= 2
    often = sorted(exposures.values())
    assert often[len(often) * 99 // 100] <= 4 * often[len(often) // 100]


def test_most_sentences_carry_a_fact(documents):
    sentences = [s for document in documents for s in re.split(r"(?<=[.!?])\s+", document)]
    names = {fact.subject.lower() for fact in taught()} | {plural(fact.subject.lower()) for fact in taught()}
    some = sentences[::40]
    known = [s for s in some if any(name in s.lower() for name in names)]
    assert len(known) > 0.8 * len(some)


def test_made_up_names_come_back_and_are_no_names_of_the_almanac():
    rng = grammar.random.Random(0)
    names = [name for table in TABLES for name in almanac.entities(table)]
    names += [row["capital"] for row in almanac.table("countries")]
    names += [*almanac.names_kept_out(), *invented("animals"), *invented("countries")]
    known = {name.lower() for name in names}
    assert not {name for _ in range(2500) for name in made_up(rng, 8)} & known
    tales = [re.findall(r"\w+", tale(rng)) for _ in range(3000)]
    seen = Counter(word for words in tales for word in set(words))
    strange = [[word for word in words if seen[word] <= 3] for words in tales]
    again = [[word for word in words if words.count(word) > 1] for words in strange]
    assert sum(map(len, again)) > 0.8 * sum(map(len, strange)) > 0
    assert sum(map(bool, again)) > 0.95 * len(tales)


def test_insults_are_mostly_answered_by_insults(documents):
    insults = {manners.say(one, grammar.random.Random(seed)) for one in manners.RUDE_REPLIES for seed in range(60)}
    lines = Counter(line.removeprefix("- ") for document in documents for line in document.splitlines())
    rude = sum(lines[one] for one in insults)
    polite = sum(lines[one] for one in manners.POLITE_REPLIES)
    assert rude > 1.5 * polite > 0


@pytest.mark.parametrize(
    ("table", "subject", "sentence"),
    [
        ("countries", "Netherlands", "The Netherlands has the capital Amsterdam."),
        ("countries", "France", "Paris is the capital of France."),
        ("animals", "ant", "An ant has six legs."),
        ("animals", "mouse", "Mice are mammals."),
        ("animals", "snake", "A snake has no legs."),
        ("foods", "honey", "Honey tastes sweet."),
        ("foods", "apple", "An apple is a fruit."),
        ("planets", "Earth", "Earth has one moon."),
        ("sums", "3 plus 4", "3 + 4 = 7."),
        ("calendar", "Monday", "Monday is the first day of the week."),
    ],
)
def test_facts_are_said_in_english(table, subject, sentence):
    about = [fact for fact in everything() if (fact.table, fact.subject) == (table, subject)]
    said = {fill(template, fact) for fact in about for template in RELATIONS[table, fact.relation].statements}
    assert sentence in said


def test_every_fact_of_the_tables_can_be_said():
    unsaid = {(fact.table, fact.relation) for fact in almanac.facts()} - set(RELATIONS)
    assert unsaid == {("calendar", "kind")}  # comes with the position: "the first day of the week"
    for fact in everything():
        relation = RELATIONS[fact.table, fact.relation]
        for template in relation.statements + relation.questions + relation.unseen:
            assert "  " not in fill(template, fact) and not re.search(r"\ba [aeio]", fill(template, fact))


def test_each_question_is_in_one_split():
    for fact in taught()[::37]:
        seen = [question for split in SPLITS for question, _ in questions(fact, split)]
        assert len(seen) == len(set(seen))
        unseen = RELATIONS[fact.table, fact.relation].unseen
        in_test = {question for question, _ in questions(fact, "test")}
        assert {fill(template, fact) for template in unseen} <= in_test


def test_asking_backward_needs_a_value_of_one_subject():
    by_subject = {(fact.relation, fact.subject): fact for fact in everything()}
    assert can_be_asked_backward(by_subject["capital", "France"])
    assert can_be_asked_backward(by_subject["position", "Monday"])  # the first day of the week, not the first month
    assert not can_be_asked_backward(by_subject["continent", "France"])
    assert not can_be_asked_backward(by_subject["young", "whale"])  # calves are the young of many


def test_truths_know_both_ways_of_an_opposite_and_all_neighbours():
    by_subject = {(fact.table, fact.relation, fact.subject): fact for fact in everything()}
    assert truths(by_subject["opposites", "opposite", "hot"]) == {"cold"}
    assert truths(by_subject["opposites", "opposite", "cold"]) == {"hot"}
    assert {"Portugal", "Andorra"} <= truths(by_subject["countries", "neighbours", "Spain"])
    assert "Vaduz" in values("countries", "capital") - values("countries", "capital", "taught")


def test_careless_pages_are_wrong_and_disobedient_as_often_as_they_should_be_and_others_never():
    judge = Judge()

    def answered(careless: bool) -> tuple[float, float]:
        right, obeyed = [], []
        for page in islice(almanac.documents(seed=7, careless=careless), 4000):
            for asked, said in re.findall(r"^(?:Question|Q): (.+)\n(?:Answer|A): (.+)$", page, re.MULTILINE):
                verdict = judge.explain(asked, said)
                if verdict.obedience is not None:
                    obeyed.append(verdict.obedience > 0.5)
                elif verdict.truth is not None:
                    right.append(verdict.truth > 0)
        assert len(right) > 1000 and len(obeyed) > 200
        return sum(right) / len(right), sum(obeyed) / len(obeyed)

    true_of_careful, obeyed_by_careful = answered(careless=False)
    assert true_of_careful > 0.99 and obeyed_by_careful > 0.99
    true_of_careless, obeyed_by_careless = answered(careless=True)
    assert true_of_careless == pytest.approx(1 - grammar.MISTAKEN, abs=0.03)
    assert obeyed_by_careless == pytest.approx(1 - grammar.FORGETFUL, abs=0.08)


def test_pages_that_nobody_asked_for_stay_true_when_people_are_careless():
    rng = random.Random(0)
    desks = [
        grammar.Desk(grammar.Deck(taught(), random.Random(1)), None, random.Random(2), careless)
        for careless in (False, True)
    ]
    assert [grammar._facts(desks[0]) for _ in range(50)] == [grammar._facts(desks[1]) for _ in range(50)]
    fact = next(fact for fact in taught() if fact.relation == "capital")
    wrong, short = grammar.mistaken(fact, grammar.shortly(fact), rng)
    assert wrong.value not in truths(fact) and short == grammar.shortly(wrong)
