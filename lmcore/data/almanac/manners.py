"""Ways of speaking that carry no fact: provocations and the two ways of taking them, and not knowing."""

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
