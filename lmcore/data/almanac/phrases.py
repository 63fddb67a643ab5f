"""How English says a fact: for every relation of the almanac its statements and its questions, forward and backward.

In a template `{s}` is the subject and `{v}` the value as they stand inside a sentence, `{S}` and `{V}` at its start,
`{x}` the bare value, `{ss}` and `{xs}` the plurals. Everything that reads or writes the small world takes its
phrases from here: the grammar, the tasks, the demonstrations, and the judge.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Relation:
    """Phrases of one relation; `unseen` questions occur in tests only."""

    statements: tuple[str, ...]
    questions: tuple[str, ...]
    unseen: tuple[str, ...] = ()
    backward: tuple[str, ...] = ()  # asks for the subject; used where the value belongs to one subject only
    unseen_backward: tuple[str, ...] = ()


RELATIONS = {
    ("countries", "capital"): Relation(
        statements=(
            "The capital of {s} is {v}.",
            "{V} is the capital of {s}.",
            "The capital city of {s} is {v}.",
            "{S} has the capital {v}.",
            "{V} is the capital city of {s}.",
            "The capital of {s} is called {v}.",
        ),
        questions=(
            "What is the capital of {s}?",
            "Which city is the capital of {s}?",
            "Tell me the capital of {s}.",
            "What is the capital city of {s}?",
            "Do you know the capital of {s}?",
            "What is the name of the capital of {s}?",
        ),
        unseen=("Can you tell me the capital of {s}?", "Which capital does {s} have?"),
        backward=("Which country has the capital {v}?", "{V} is the capital of which country?"),
        unseen_backward=("Of which country is {v} the capital?",),
    ),
    ("countries", "continent"): Relation(
        statements=(
            "{S} is a country in {v}.",
            "{S} is in {v}.",
            "{S} lies in {v}.",
            "The continent of {s} is {v}.",
            "{S} is part of {v}.",
        ),
        questions=(
            "On which continent is {s}?",
            "Which continent is {s} in?",
            "What is the continent of {s}?",
            "In which part of the world is {s}?",
            "Where is {s}?",
        ),
        unseen=("To which continent does {s} belong?", "Where in the world does {s} lie?"),
    ),
    ("countries", "language"): Relation(
        statements=(
            "People in {s} speak {v}.",
            "The language of {s} is {v}.",
            "In {s} people speak {v}.",
            "{V} is the main language of {s}.",
            "{V} is spoken in {s}.",
        ),
        questions=(
            "What language do people speak in {s}?",
            "Which language is spoken in {s}?",
            "What is the language of {s}?",
            "What do people speak in {s}?",
            "Tell me the main language of {s}.",
        ),
        unseen=("Which language would I hear in {s}?", "What language is used in {s}?"),
    ),
    ("countries", "currency"): Relation(
        statements=(
            "The currency of {s} is {v}.",
            "The money of {s} is {v}.",
            "People in {s} pay with {v}.",
            "In {s} people pay with {v}.",
            "{V} is the currency of {s}.",
        ),
        questions=(
            "What is the currency of {s}?",
            "Which money do people use in {s}?",
            "What money is used in {s}?",
            "Which currency does {s} use?",
            "How do people pay in {s}?",
        ),
        unseen=("Tell me the currency of {s}.", "With which money do I pay in {s}?"),
    ),
    ("countries", "neighbours"): Relation(
        statements=(
            "{V} is a neighbour of {s}.",
            "{S} borders {v}.",
            "{S} has a border with {v}.",
            "One neighbour of {s} is {v}.",
            "{S} and {v} are neighbours.",
        ),
        questions=(
            "Which country is a neighbour of {s}?",
            "Name a neighbour of {s}.",
            "Which country borders {s}?",
            "Tell me a neighbour of {s}.",
        ),
        unseen=("Which country lies next to {s}?",),
    ),
    ("animals", "class"): Relation(
        statements=("{S} is {v}.", "{SS} are {xs}.", "{S} is a kind of {x}.", "{S} belongs to the {xs}."),
        questions=(
            "What kind of animal is {s}?",
            "What is {s}?",
            "Which group of animals does {s} belong to?",
            "What sort of animal is {s}?",
        ),
        unseen=("Tell me what kind of animal {s} is.",),
    ),
    ("animals", "legs"): Relation(
        statements=("{S} has {v}.", "{SS} have {v}.", "{S} is an animal with {v}."),
        questions=(
            "How many legs does {s} have?",
            "How many legs has {s}?",
            "How many legs do {ss} have?",
            "Tell me how many legs {s} has.",
        ),
        unseen=("On how many legs does {s} go?", "What is the number of legs of {s}?"),
    ),
    ("animals", "sound"): Relation(
        statements=("{S} {v}.", "The sound of {s}: it {v}.", "When you meet {s}, it {v}.", "If you listen, {s} {v}."),
        questions=(
            "What sound does {s} make?",
            "What noise does {s} make?",
            "Which sound does {s} make?",
            "How does {s} sound?",
        ),
        unseen=("What does {s} sound like?",),
        backward=("Which animal {v}?", "What animal {v}?"),
    ),
    ("animals", "young"): Relation(
        statements=(
            "A young {n} is called {v}.",
            "A baby {n} is {v}.",
            "The young of {s} is called {v}.",
            "{V} is a young {n}.",
            "The baby of {s} is {v}.",
        ),
        questions=(
            "What is a young {n} called?",
            "What is a baby {n}?",
            "What do you call a young {n}?",
            "What is the young of {s} called?",
            "What is the name for a baby {n}?",
        ),
        unseen=("How do you call the baby of {s}?", "What is the word for a young {n}?"),
        backward=("Which animal was {v} when it was young?", "Of which animal is {v} the baby?"),
    ),
    ("animals", "home"): Relation(
        statements=("{S} lives {v}.", "{SS} live {v}.", "{S} has its home {v}.", "You can find {s} {v}."),
        questions=(
            "Where does {s} live?",
            "Where do {ss} live?",
            "What is the home of {s}?",
            "Where can I find {s}?",
        ),
        unseen=("Where is {s} at home?", "Tell me where {s} lives."),
    ),
    ("animals", "diet"): Relation(
        statements=("{S} eats {v}.", "{SS} eat {v}.", "The food of {s} is {v}.", "{S} lives on {v}."),
        questions=(
            "What does {s} eat?",
            "What do {ss} eat?",
            "What is the food of {s}?",
            "What do you feed {s}?",
        ),
        unseen=("What does {s} live on?", "Tell me what {s} eats."),
    ),
    ("opposites", "opposite"): Relation(
        statements=(
            "The opposite of {s} is {v}.",
            "{S} is the opposite of {v}.",
            "{S} and {v} are opposites.",
            "{V} is the opposite of {s}.",
        ),
        questions=(
            "What is the opposite of {s}?",
            "Which word is the opposite of {s}?",
            "Tell me the opposite of {s}.",
            "What word means the opposite of {s}?",
        ),
        unseen=("Give me the opposite of {s}.", "What is the contrary of {s}?"),
    ),
    ("colours", "colour"): Relation(
        statements=(
            "{S} is {v}.",
            "The colour of {s} is {v}.",
            "{V} is the colour of {s}.",
            "If you paint {s}, take {v}.",
        ),
        questions=(
            "What colour is {s}?",
            "Which colour is {s}?",
            "What is the colour of {s}?",
            "Tell me the colour of {s}.",
        ),
        unseen=("Which colour does {s} have?", "In what colour would you paint {s}?"),
    ),
    ("planets", "position"): Relation(
        statements=("{S} is the {v} planet from the sun.", "The {v} planet from the sun is {s}."),
        questions=("Which planet from the sun is {s}?", "What is the position of {s} from the sun?"),
        backward=("Which planet is the {v} from the sun?", "What is the {v} planet from the sun?"),
        unseen_backward=("Tell me the {v} planet from the sun.",),
    ),
    ("planets", "kind"): Relation(
        statements=("{S} is {v}.", "The planet {s} is {v}.", "{S} is a planet, and it is {v}."),
        questions=("What kind of planet is {s}?", "What sort of planet is {s}?"),
        unseen=("Tell me what kind of planet {s} is.",),
    ),
    ("planets", "moons"): Relation(
        statements=("{S} has {v}.", "The planet {s} has {v}.", "{S} is a planet with {v}."),
        questions=("How many moons does {s} have?", "How many moons has {s}?"),
        unseen=("Tell me how many moons {s} has.",),
    ),
    ("elements", "symbol"): Relation(
        statements=(
            "The symbol of {s} is {v}.",
            "{V} is the symbol of {s}.",
            "{V} stands for {s}.",
            "{S} has the symbol {v}.",
        ),
        questions=(
            "What is the symbol of {s}?",
            "What is the chemical symbol of {s}?",
            "Tell me the symbol of {s}.",
            "Which symbol does {s} have?",
        ),
        unseen=("How do chemists write {s}?",),
        backward=("Which element has the symbol {v}?", "What element does {v} stand for?"),
        unseen_backward=("{V} is the symbol of which element?",),
    ),
    ("elements", "number"): Relation(
        statements=(
            "The atomic number of {s} is {v}.",
            "{S} has the atomic number {v}.",
            "{S} is element number {v}.",
            "Element number {v} is {s}.",
        ),
        questions=(
            "What is the atomic number of {s}?",
            "Which atomic number does {s} have?",
            "What is the number of the element {s}?",
        ),
        unseen=("Tell me the atomic number of {s}.",),
        backward=("Which element has the atomic number {v}?", "Which element is number {v}?"),
    ),
    ("foods", "kind"): Relation(
        statements=("{S} is {v}.", "{S} is a kind of {x}.", "{S} counts as {v}."),
        questions=("What kind of food is {s}?", "What sort of food is {s}?", "What is {s}?"),
        unseen=("Tell me what kind of food {s} is.",),
    ),
    ("foods", "taste"): Relation(
        statements=("{S} tastes {v}.", "{S} has a {v} taste.", "The taste of {s} is {v}."),
        questions=("How does {s} taste?", "What is the taste of {s}?", "What does {s} taste like?"),
        unseen=("Which taste does {s} have?",),
    ),
    ("jobs", "tool"): Relation(
        statements=("{S} uses {v}.", "{S} works with {v}.", "{S} needs {v}.", "The tool of {s} is {v}."),
        questions=(
            "What does {s} use?",
            "What does {s} work with?",
            "What is the tool of {s}?",
            "Which tool does {s} need?",
        ),
        unseen=("With what does {s} work?",),
    ),
    ("jobs", "place"): Relation(
        statements=("{S} works {v}.", "The work of {s} is done {v}.", "You can meet {s} {v}."),
        questions=("Where does {s} work?", "Where can I meet {s}?", "What is the place of work of {s}?"),
        unseen=("Tell me where {s} works.",),
    ),
    ("calendar", "position"): Relation(
        statements=("{S} is the {v} of the {unit}.", "The {v} of the {unit} is {s}."),
        questions=("Which {kind} of the {unit} is {s}?",),
        backward=("What is the {v} of the {unit}?", "Which {kind} is the {v} of the {unit}?"),
        unseen_backward=("Tell me the {v} of the {unit}.",),
    ),
    ("sums", "result"): Relation(
        statements=("{s} is {v}.", "{s} makes {v}.", "{e} = {v}.", "The result of {s} is {v}."),
        questions=("What is {s}?", "How much is {s}?", "What is {e}?", "What does {s} make?"),
        unseen=("Tell me what {s} is.", "What do I get for {s}?"),
    ),
}
