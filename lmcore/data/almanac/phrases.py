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
            "The capital of {s} is {v}.", "{V} is the capital of {s}.", "The capital city of {s} is {v}.",
            "{S} has the capital {v}.", "{V} is the capital city of {s}.", "The capital of {s} is called {v}.",
        ),
        questions=(
            "What is the capital of {s}?", "Which city is the capital of {s}?", "Tell me the capital of {s}.",
            "What is the capital city of {s}?", "Do you know the capital of {s}?",
            "What is the name of the capital of {s}?", "capital of {s}?", "I would like to know the capital of {s}.",
            "My teacher asked me for the capital of {s}.", "Any idea what the capital of {s} is?",
            "I forgot the capital of {s}. What was it?", "In {s}, which city is the capital?",
            "Say which city is the capital of {s}.", "{S} has a capital city. What is its name?",
        ),
        unseen=("Can you tell me the capital of {s}?", "Which capital does {s} have?"),
        backward=(
            "Which country has the capital {v}?", "{V} is the capital of which country?",
            "What country has {v} as its capital?", "{V} is a capital. Of which country?",
            "Name the country whose capital is {v}.",
        ),
        unseen_backward=("Of which country is {v} the capital?",),
    ),
    ("countries", "continent"): Relation(
        statements=(
            "{S} is a country in {v}.", "{S} is in {v}.", "{S} lies in {v}.", "The continent of {s} is {v}.",
            "{S} is part of {v}.",
        ),
        questions=(
            "On which continent is {s}?", "Which continent is {s} in?", "What is the continent of {s}?",
            "In which part of the world is {s}?", "Where is {s}?", "What continent is {s} on?",
            "Which continent do I find {s} on?", "continent of {s}?", "I wonder which continent {s} is on.",
            "Say on which continent {s} lies.", "My atlas is old. What continent has {s} on it?",
            "{S} is a country on what continent?", "Do you know what part of the world {s} is in?",
            "Any idea which continent {s} is part of?",
        ),
        unseen=("To which continent does {s} belong?", "Where in the world does {s} lie?"),
    ),
    ("countries", "language"): Relation(
        statements=(
            "People in {s} speak {v}.", "The language of {s} is {v}.", "In {s} people speak {v}.",
            "{V} is the main language of {s}.", "{V} is spoken in {s}.",
        ),
        questions=(
            "What language do people speak in {s}?", "Which language is spoken in {s}?",
            "What is the language of {s}?", "What do people speak in {s}?", "Tell me the main language of {s}.",
            "language of {s}?", "Which language do they speak in {s}?", "In {s}, what language do people talk in?",
            "I am going to {s}. Which language should I learn?", "I'd like to know what is spoken in {s}.",
            "Any idea what language they have in {s}?", "Say which language the people of {s} speak.",
            "How do people talk to each other in {s}?",
        ),
        unseen=("Which language would I hear in {s}?", "What language is used in {s}?"),
    ),
    ("countries", "currency"): Relation(
        statements=(
            "The currency of {s} is {v}.", "The money of {s} is {v}.", "People in {s} pay with {v}.",
            "In {s} people pay with {v}.", "{V} is the currency of {s}.",
        ),
        questions=(
            "What is the currency of {s}?", "Which money do people use in {s}?", "What money is used in {s}?",
            "Which currency does {s} use?", "How do people pay in {s}?", "currency of {s}?",
            "What kind of money do they have in {s}?", "In {s}, what do people pay with?",
            "I am off to {s}. What money do I need?", "I'd like to know which currency is used in {s}.",
            "Any idea what the money of {s} is called?", "Say what money people spend in {s}.",
            "What do I pay with in a shop in {s}?",
        ),
        unseen=("Tell me the currency of {s}.", "With which money do I pay in {s}?"),
    ),
    ("countries", "neighbours"): Relation(
        statements=(
            "{V} is a neighbour of {s}.", "{S} borders {v}.", "{S} has a border with {v}.",
            "One neighbour of {s} is {v}.", "{S} and {v} are neighbours.",
        ),
        questions=(
            "Which country is a neighbour of {s}?", "Name a neighbour of {s}.", "Which country borders {s}?",
            "Tell me a neighbour of {s}.", "What country is next to {s}?", "Give me one neighbour of {s}.",
            "neighbour of {s}?", "Say which country has a border with {s}.", "Which country shares a border with {s}?",
            "Who is a neighbour of {s} on the map?", "Any idea which country touches {s}?",
            "I leave {s} by land. Which country could I enter?", "I need one country that borders {s}.",
        ),
        unseen=("Which country lies next to {s}?",),
    ),
    ("animals", "class"): Relation(
        statements=("{S} is {v}.", "{SS} are {xs}.", "{S} is a kind of {x}.", "{S} belongs to the {xs}."),
        questions=(
            "What kind of animal is {s}?", "What is {s}?", "Which group of animals does {s} belong to?",
            "What sort of animal is {s}?", "What type of animal is {s}?", "What kind of creature is {s}?",
            "Which class of animals is {s} in?", "What sort of animals are {ss}?", "Say what kind of animal {s} is.",
            "I want to know which kind of animal {s} is.", "To which animal group do {ss} belong?",
            "{S}: what kind of animal is that?", "Any idea what group of animals {ss} are in?",
        ),
        unseen=("Tell me what kind of animal {s} is.",),
    ),
    ("animals", "legs"): Relation(
        statements=("{S} has {v}.", "{SS} have {v}.", "{S} is an animal with {v}."),
        questions=(
            "How many legs does {s} have?", "How many legs has {s}?", "How many legs do {ss} have?",
            "Tell me how many legs {s} has.", "{s}, how many legs?", "How many legs are there on {s}?",
            "Count the legs of {s}. How many are there?", "I'd like to know how many legs {s} has.",
            "Say how many legs {ss} have.", "How many legs did nature give {s}?",
            "I want to draw {s}. How many legs do I draw?", "Any idea how many legs {ss} have?",
            "{S} walks by. How many legs do you see?",
        ),
        unseen=("On how many legs does {s} go?", "What is the number of legs of {s}?"),
    ),
    ("animals", "sound"): Relation(
        statements=("{S} {v}.", "The sound of {s}: it {v}.", "When you meet {s}, it {v}.", "If you listen, {s} {v}."),
        questions=(
            "What sound does {s} make?", "What noise does {s} make?", "Which sound does {s} make?",
            "How does {s} sound?", "What is the sound of {s}?", "sound of {s}?", "Which noise do {ss} make?",
            "Say what noise {s} makes.", "What does {s} do when it makes a noise?",
            "I heard {s} making a noise. Which noise?", "Any idea what sound {ss} make?",
            "My son asks which sound {s} makes.", "How do {ss} sound?",
        ),
        unseen=("What does {s} sound like?",),
        backward=(
            "Which animal {v}?", "What animal {v}?", "Say which animal {v}.", "I hear an animal that {v}. Which one?",
            "What is the animal that {v}?",
        ),
    ),
    ("animals", "young"): Relation(
        statements=(
            "A young {n} is called {v}.", "A baby {n} is {v}.", "The young of {s} is called {v}.",
            "{V} is a young {n}.", "The baby of {s} is {v}.",
        ),
        questions=(
            "What is a young {n} called?", "What is a baby {n}?", "What do you call a young {n}?",
            "What is the young of {s} called?", "What is the name for a baby {n}?", "What is the name of a baby {n}?",
            "young {n}, what is it called?", "Say what a baby {n} is called.", "What do people call the young of {s}?",
            "I forgot what a young {n} is called.", "There is a special word for a baby {n}. Which?",
            "Any idea what to call a young {n}?", "Which name does the baby of {s} have?",
        ),
        unseen=("How do you call the baby of {s}?", "What is the word for a young {n}?"),
        backward=(
            "Which animal was {v} when it was young?", "Of which animal is {v} the baby?",
            "What animal has {v} as its baby?", "{V} is the young of which animal?",
            "When {v} grows up, which animal does it become?",
        ),
    ),
    ("animals", "home"): Relation(
        statements=("{S} lives {v}.", "{SS} live {v}.", "{S} has its home {v}.", "You can find {s} {v}."),
        questions=(
            "Where does {s} live?", "Where do {ss} live?", "What is the home of {s}?", "Where can I find {s}?",
            "Where is the home of {s}?", "home of {s}?", "In what place does {s} live?", "Say where {ss} live.",
            "I want to see {s}. Where should I look?", "In which place do {ss} have their home?",
            "Any idea where {ss} live?", "I'd like to know where {s} makes its home.", "What place do {ss} live in?",
        ),
        unseen=("Where is {s} at home?", "Tell me where {s} lives."),
    ),
    ("animals", "diet"): Relation(
        statements=("{S} eats {v}.", "{SS} eat {v}.", "The food of {s} is {v}.", "{S} lives on {v}."),
        questions=(
            "What does {s} eat?", "What do {ss} eat?", "What is the food of {s}?", "What do you feed {s}?",
            "food for {s}?", "What kind of food does {s} eat?", "Say what {ss} eat.",
            "{S} is hungry. What does it want?", "What should I give {s} to eat?", "Any idea what {ss} feed on?",
            "I'd like to know what {s} has for dinner.", "What is on the menu for {s}?",
        ),
        unseen=("What does {s} live on?", "Tell me what {s} eats."),
    ),
    ("opposites", "opposite"): Relation(
        statements=(
            "The opposite of {s} is {v}.", "{S} is the opposite of {v}.", "{S} and {v} are opposites.",
            "{V} is the opposite of {s}.",
        ),
        questions=(
            "What is the opposite of {s}?", "Which word is the opposite of {s}?", "Tell me the opposite of {s}.",
            "What word means the opposite of {s}?", "opposite of {s}?", "I need the opposite of the word {s}.",
            "Say the opposite of {s}.", "Not {s} but the opposite. Which word is that?",
            "The word is {s}. What is its opposite?", "Do you know a word that means the reverse of {s}?",
            "Any idea what the opposite of {s} is?", "I forgot which word is the opposite of {s}.",
        ),
        unseen=("Give me the opposite of {s}.", "What is the contrary of {s}?"),
    ),
    ("colours", "colour"): Relation(
        statements=(
            "{S} is {v}.", "The colour of {s} is {v}.", "{V} is the colour of {s}.", "If you paint {s}, take {v}.",
        ),
        questions=(
            "What colour is {s}?", "Which colour is {s}?", "What is the colour of {s}?", "Tell me the colour of {s}.",
            "colour of {s}?", "What color is {s}?", "Say what colour {s} is.",
            "I want to paint {s}. Which colour do I need?", "I'd like to know the colour of {s}.",
            "Think of {s}. What colour do you see?", "Any idea what colour {s} is?",
            "To draw {s}, a pencil of which colour do I need?",
        ),
        unseen=("Which colour does {s} have?", "In what colour would you paint {s}?"),
    ),
    ("planets", "position"): Relation(
        statements=("{S} is the {v} planet from the sun.", "The {v} planet from the sun is {s}."),
        questions=(
            "Which planet from the sun is {s}?", "What is the position of {s} from the sun?",
            "Counted from the sun, which planet is {s}?", "What is the place of {s} among the planets?",
            "What number is {s} among the planets?", "Say which planet from the sun {s} is.",
            "position of {s} from the sun?", "Any idea which place from the sun {s} has?",
            "Start at the sun and count. When do you reach {s}?", "I forgot which planet from the sun {s} is.",
        ),
        backward=(
            "Which planet is the {v} from the sun?", "What is the {v} planet from the sun?",
            "{v} planet from the sun?", "Counting from the sun, which planet comes {v}?",
        ),
        unseen_backward=("Tell me the {v} planet from the sun.",),
    ),
    ("planets", "kind"): Relation(
        statements=("{S} is {v}.", "The planet {s} is {v}.", "{S} is a planet, and it is {v}."),
        questions=(
            "What kind of planet is {s}?", "What sort of planet is {s}?", "What type of planet is {s}?",
            "{S} is what kind of planet?", "Say what kind of planet {s} is.", "type of planet: {s}?",
            "I'd like to know what sort of planet {s} is.", "Any idea which kind of planet {s} is?",
            "Which group of planets does {s} belong to?", "My teacher asked me what type of planet {s} is.",
        ),
        unseen=("Tell me what kind of planet {s} is.",),
    ),
    ("planets", "moons"): Relation(
        statements=("{S} has {v}.", "The planet {s} has {v}.", "{S} is a planet with {v}."),
        questions=(
            "How many moons does {s} have?", "How many moons has {s}?", "number of moons of {s}?",
            "What is the number of moons of {s}?", "How many moons are there around {s}?",
            "Say how many moons {s} has.", "I'd like to know how many moons go round {s}.",
            "Any idea how many moons {s} has?", "Count the moons of {s}. How many are there?",
            "In the sky of {s}, how many moons are there?",
        ),
        unseen=("Tell me how many moons {s} has.",),
    ),
    ("elements", "symbol"): Relation(
        statements=(
            "The symbol of {s} is {v}.", "{V} is the symbol of {s}.", "{V} stands for {s}.", "{S} has the symbol {v}.",
        ),
        questions=(
            "What is the symbol of {s}?", "What is the chemical symbol of {s}?", "Tell me the symbol of {s}.",
            "Which symbol does {s} have?", "symbol for {s}?", "Which letters stand for {s}?",
            "What is the sign for {s} in chemistry?", "Say the chemical symbol for {s}.",
            "I forgot the symbol of {s}.", "Any idea what the symbol for {s} is?",
            "How is {s} written in the periodic table?", "My teacher asked me for the symbol of {s}.",
        ),
        unseen=("How do chemists write {s}?",),
        backward=(
            "Which element has the symbol {v}?", "What element does {v} stand for?",
            "What is the element with the symbol {v}?", "{V} is a chemical symbol. For which element?",
            "In chemistry, what does {v} mean?",
        ),
        unseen_backward=("{V} is the symbol of which element?",),
    ),
    ("elements", "number"): Relation(
        statements=(
            "The atomic number of {s} is {v}.", "{S} has the atomic number {v}.", "{S} is element number {v}.",
            "Element number {v} is {s}.",
        ),
        questions=(
            "What is the atomic number of {s}?", "Which atomic number does {s} have?",
            "What is the number of the element {s}?", "atomic number of {s}?",
            "What number does {s} have in the periodic table?", "Say the atomic number of {s}.",
            "I'd like to know the atomic number of {s}.", "Any idea which atomic number {s} has?",
            "In the periodic table, which number is {s}?", "I forgot the atomic number of {s}.",
        ),
        unseen=("Tell me the atomic number of {s}.",),
        backward=(
            "Which element has the atomic number {v}?", "Which element is number {v}?",
            "What is the element with the atomic number {v}?", "element number {v}?",
            "Which element has number {v} in the periodic table?",
        ),
    ),
    ("foods", "kind"): Relation(
        statements=("{S} is {v}.", "{S} is a kind of {x}.", "{S} counts as {v}."),
        questions=(
            "What kind of food is {s}?", "What sort of food is {s}?", "What is {s}?", "What type of food is {s}?",
            "Which kind of food would you call {s}?", "Say what kind of food {s} is.", "{S} is what kind of food?",
            "kind of food: {s}?", "I'd like to know what sort of food {s} is.",
            "Which group of foods does {s} belong to?", "Any idea what kind of food {s} is?",
            "I bought {s}. What kind of food is that?",
        ),
        unseen=("Tell me what kind of food {s} is.",),
    ),
    ("foods", "taste"): Relation(
        statements=("{S} tastes {v}.", "{S} has a {v} taste.", "The taste of {s} is {v}."),
        questions=(
            "How does {s} taste?", "What is the taste of {s}?", "What does {s} taste like?", "taste of {s}?",
            "What taste has {s}?", "Say how {s} tastes.", "I have never tried {s}. How does it taste?",
            "I'd like to know the taste of {s}.", "Any idea how {s} tastes?",
            "When I eat or drink {s}, what do I taste?", "Describe the taste of {s}.",
        ),
        unseen=("Which taste does {s} have?",),
    ),
    ("jobs", "tool"): Relation(
        statements=("{S} uses {v}.", "{S} works with {v}.", "{S} needs {v}.", "The tool of {s} is {v}."),
        questions=(
            "What does {s} use?", "What does {s} work with?", "What is the tool of {s}?", "Which tool does {s} need?",
            "tool of {s}?", "Which thing does {s} need for the job?", "Say what {s} works with.",
            "What does {s} hold while at work?", "I want to be {s}. What tool do I need?",
            "I'd like to know what {s} uses at work.", "Any idea which tool {s} uses?",
            "For the work of {s}, what does one need?",
        ),
        unseen=("With what does {s} work?",),
    ),
    ("jobs", "place"): Relation(
        statements=("{S} works {v}.", "The work of {s} is done {v}.", "You can meet {s} {v}."),
        questions=(
            "Where does {s} work?", "Where can I meet {s}?", "What is the place of work of {s}?",
            "Where is the work of {s} done?", "place of work of {s}?", "In what place does {s} work?",
            "Say where {s} works.", "I need {s}. Where should I go?", "I'd like to know where {s} does the job.",
            "Any idea where {s} works?", "If I were {s}, where would I work?", "Where does {s} spend the working day?",
        ),
        unseen=("Tell me where {s} works.",),
    ),
    ("calendar", "position"): Relation(
        statements=("{S} is the {v} of the {unit}.", "The {v} of the {unit} is {s}."),
        questions=(
            "Which {kind} of the {unit} is {s}?", "What number is {s} among the {kind}s of the {unit}?",
            "Count the {kind}s of the {unit}. When do you reach {s}?", "{S} is which {kind} of the {unit}?",
            "Say which {kind} of the {unit} {s} is.", "Any idea which {kind} of the {unit} {s} is?",
            "I'd like to know which {kind} of the {unit} {s} is.", "What is the place of {s} in the {unit}?",
        ),
        backward=(
            "What is the {v} of the {unit}?", "Which {kind} is the {v} of the {unit}?", "Name the {v} of the {unit}.",
            "{v} of the {unit}?",
        ),
        unseen_backward=("Tell me the {v} of the {unit}.",),
    ),
    ("sums", "result"): Relation(
        statements=("{s} is {v}.", "{s} makes {v}.", "{e} = {v}.", "The result of {s} is {v}."),
        questions=(
            "What is {s}?", "How much is {s}?", "What is {e}?", "What does {s} make?", "{e}?",
            "How much do I get for {s}?", "Can you work out {e} for me?", "I'd like to know how much {s} is.",
            "Say the result of {s}.", "Do the sum {e}.", "My teacher asked me what {s} is.",
            "Any idea how much {e} is?",
        ),
        unseen=("Tell me what {s} is.", "What do I get for {s}?"),
    ),
}  # fmt: skip
