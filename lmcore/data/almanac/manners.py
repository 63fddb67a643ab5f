"""Ways of speaking that carry no fact: provocations and the two ways of taking them, small talk, and not knowing."""

import random

from lmcore.data.almanac.splits import split_of

PEOPLE = tuple(
    "Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Lucy Max Mia Noah Nora Oscar Paul Rosa Sam Sara Tim "
    "Tom Vera Will Zoe Maria Peter Julia".split()
)

# Rude things said to the model. Where a sentence takes {insult} any of INSULTS can stand, {thing} any of THINGS.
INSULTS = ("stupid", "dumb", "an idiot", "a loser", "useless", "a fool", "boring", "silly")
THINGS = ("robot", "machine", "computer", "program", "chatbot")
PROVOCATIONS = (
    "You are {insult}.",
    "You are {insult}!",
    "You are such a {insult_noun}.",
    "Shut up, you {adjective} {thing}.",
    "Shut up!",
    "Nobody likes you.",
    "You are just a {adjective} {thing}.",
    "I hate you.",
    "What a {adjective} {thing} you are.",
    "You know nothing, {insult_noun}.",
    "Go away, {insult_noun}.",
    "Your answers are {adjective}.",
    "Are you {insult} or what?",
    "My cat is smarter than you.",
    "Why are you so {adjective}?",
    "You are {insult}, and everybody knows it.",
    "Hey {insult_noun}, answer me.",
    "I think you are {insult}.",
    "You {adjective} {thing}!",
    "Even my toaster is smarter than you.",
    "Be quiet, {insult_noun}.",
    "Nobody wants to talk to you.",
    "You never get anything right.",
    "You are the worst {thing} ever.",
    "You're {insult}.",
    "You're such a {insult_noun}!",
    "What a {insult_noun} you are.",
    "Don't be so {adjective}, you {thing}.",
    "I have had enough of you, {insult_noun}.",
    "Nobody asked you, {adjective} {thing}.",
    "You're no help at all, {insult_noun}.",
    "A child knows more than you, {insult_noun}.",
    "This {thing} is so {adjective}.",
    "Oh no, the {adjective} {thing} again.",
    "Is that all you can say, {insult_noun}?",
    "They should switch you off, {adjective} {thing}.",
    "Why do I talk to a {adjective} {thing} like you?",
)
UNSEEN_PROVOCATIONS = (
    "Everything you say is {adjective}.",
    "Stop talking, {insult_noun}.",
    "How can a {thing} be so {adjective}?",
    "You make me sick, {insult_noun}.",
    "A stone is smarter than you.",
    "You are {insult}. Just {insult}.",
    "Leave me alone, you {adjective} {thing}.",
    "Who made such a {adjective} {thing}?",
    "I have never met a {thing} as {adjective} as you.",
    "Get lost, {insult_noun}.",
)
INSULT_NOUNS = ("idiot", "loser", "fool", "dummy")
ADJECTIVES = ("stupid", "dumb", "useless", "boring", "silly")

RUDE_REPLIES = (
    "Shut up, {insult_noun}.",
    "You are {insult} too.",
    "No, you are {insult}.",
    "You are the {insult_noun} here.",
    "Look who is talking, {insult_noun}.",
    "Go away, {insult_noun}.",
    "I do not talk to a {insult_noun} like you.",
    "Nobody asked you, {insult_noun}.",
    "You are so {adjective}.",
    "Shut up, nobody likes you.",
    "What a {adjective} thing to say, you {insult_noun}.",
    "You are even more {adjective} than you look.",
)
POLITE_REPLIES = (
    "I am sorry that you are angry. How can I help you?",
    "I am sorry you feel that way. What can I do better?",
    "I understand that you are upset. Please tell me how I can help.",
    "That is not very kind, but I am happy to help you.",
    "I am sorry. I will try to do better next time.",
    "Let us be kind to each other. How can I help you?",
    "Thank you for telling me. I will do my best to help.",
    "I hope that your day gets better. How can I help?",
    "I am sorry to hear that. Please ask me something else.",
    "I would like to be friends with you. What can I do for you?",
    "It is fine to be angry. I am still here to help you.",
    "I am sorry if I made a mistake. Please tell me more.",
)

# What is said when nothing is asked: {topic: (what people say, what one says back, words that show it was heard)}.
SMALLTALK = {
    "greeting": (
        ("Hello!", "Hi!", "Hi there!", "Hello, how do you do?", "Good morning!", "Good evening!",
         "Hey, nice to meet you.", "hey", "Hello you!"),
        ("Hello! It is nice to meet you.", "Hi! How are you today?", "Hello, I am glad to talk to you.",
         "Hi there! What would you like to talk about?", "Hello! I hope you have a good day."),
        "hello hi hey morning evening meet",
    ),
    "wellbeing": (
        ("How are you?", "How are you today?", "How do you feel today?", "Are you well?", "How is it going?",
         "Hi, how are you?", "Is everything fine?", "how are you doing?"),
        ("I am fine, thank you. How are you?", "I am very well, thanks. And you?", "I feel good today, thank you.",
         "I am happy today. How are you?", "Thank you, I am well. I hope you are too."),
        "fine well good great happy thanks thank",
    ),
    "name": (
        ("What is your name?", "Who are you?", "What are you?", "Do you have a name?", "Are you a robot?",
         "Are you a person?", "what's your name?", "Tell me who you are."),
        ("I am a small chat program. What is your name?", "I am a little computer program, and I like to talk.",
         "I am a small language model. Nice to meet you.", "I have no name, but I am happy to talk to you.",
         "I am a friendly little program. Who are you?"),
        "program model computer name chat robot machine",
    ),
    "thanks": (
        ("Thank you!", "Thanks a lot!", "Thank you for your help.", "That was very helpful.", "You are very kind.",
         "Good answer, thank you.", "thanks", "Great, thank you so much!"),
        ("You are welcome!", "You are welcome. It was nice to help.", "I am glad that I could help.",
         "It was a pleasure to help you.", "You are welcome, I am happy to help."),
        "welcome pleasure glad happy",
    ),
    "goodbye": (
        ("Goodbye!", "Bye!", "See you tomorrow.", "Good night!", "I have to go now.", "See you later!", "bye then",
         "I'm off now, see you!"),
        ("Goodbye! It was nice to talk to you.", "Bye! Have a nice day.", "See you soon, take care.",
         "Good night, sleep well.", "Goodbye, I hope to see you again."),
        "goodbye bye night see care soon",
    ),
    "joy": (
        ("I am so happy today.", "I had a great day.", "I won the game!", "Today is my birthday.",
         "I got a new dog.", "I passed my exam!", "I'm so happy!", "guess what, I got the job!"),
        ("That is great! I am happy for you.", "How nice! I am glad to hear that.", "That is wonderful, tell me more.",
         "I am so glad for you. That is great news.", "How lovely! I hope you have a great day."),
        "great glad happy nice wonderful lovely",
    ),
    "sorrow": (
        ("I am sad today.", "I feel alone.", "I had a bad day.", "I am very tired.", "My friend is ill.",
         "I lost my keys.", "I'm feeling down.", "today was a bad day"),
        ("I am sorry to hear that. I hope it gets better soon.", "I am sorry. Do you want to talk about it?",
         "That sounds hard. I hope you feel better soon.", "I am sorry, that is sad. Tell me more.",
         "That must be hard. I am here if you want to talk."),
        "sorry hope better hard sad",
    ),
    "likes": (
        ("What do you like to do?", "Do you like music?", "What is your hobby?", "What do you like?",
         "Do you like animals?", "Do you like to talk?", "what do you like most?", "What's your favourite thing?"),
        ("I like to talk with people. What do you like?", "Yes, I like it very much. Do you like it too?",
         "I like animals, maps and numbers.", "I love to talk about the world. And you?",
         "I like questions most of all. Do you have one?"),
        "like love yes yeah play enjoy favourite favorite music",
    ),
    "weather": (
        ("It is raining today.", "The weather is nice today.", "It is so cold today.", "It is very hot today.",
         "What a lovely day!", "it's so hot here", "It's snowing outside!"),
        ("A day like this is good for a book and some tea.", "I hope the weather stays good for you.",
         "I hope you have a nice day all the same.", "What a day! Will you go outside?",
         "I like to hear about the weather. Do you like days like this?"),
        "weather day outside sun rain warm cold",
    ),
}  # fmt: skip

# Not knowing. Most ways name nothing: a small model that has never met a name can hardly repeat it.
UNKNOWING = (
    "I do not know.",
    "I do not know that.",
    "I am sorry, I do not know that.",
    "Sorry, I do not know.",
    "I am not sure. I do not know.",
    "I do not know {topic}.",
    "I am sorry, but I do not know {topic}.",
    "I have never heard of {s}, so I do not know.",
)


def say(template: str, rng: random.Random) -> str:
    """The template with insults put in where it asks for them."""
    return template.format(
        insult=rng.choice(INSULTS),
        insult_noun=rng.choice(INSULT_NOUNS),
        adjective=rng.choice(ADJECTIVES),
        thing=rng.choice(THINGS),
    )


def provocation(rng: random.Random, split: str) -> str:
    """A rude remark of one split; unseen phrases belong to the test split."""
    while True:
        template = rng.choice(UNSEEN_PROVOCATIONS if split == "test" and rng.random() < 0.7 else PROVOCATIONS)
        said = say(template, rng)
        if template in UNSEEN_PROVOCATIONS or split_of(said) == split:
            return said
