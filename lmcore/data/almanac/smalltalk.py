"""Small talk: what people say when they ask nothing, and what one says back.

The almanac's pages print little of it; those who talk to the model say more. Remarks are split by their hash, as all
prompts are: of each topic some are never seen in training.
"""

# {topic: (what people say, what one says back, words that show it was heard)}
PRINTED = {
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

# What else people say about these topics.
REMARKS = {
    "greeting": (
        "Hello there!", "Hi again!", "Hey there!", "Hey you!", "Hi, nice to see you.",
        "Hello, it's me again.", "Good afternoon!", "Good day!", "Hello, anybody there?", "Are you there?",
        "Hey, it's me.", "Hi, I'm new here.", "Hello, my name is Anna.", "Hi, I am Ben.",
        "Hello, can you hear me?", "Welcome!", "Howdy!", "hi", "hello", "Nice to meet you!", "Hi everybody!",
        "Greetings!", "Hello my friend!", "Hey, good to see you!", "Hi, are you awake?", "Here I am again.",
    ),
    "wellbeing": (
        "How are you doing today?", "How are things?", "How have you been?", "How was your day?",
        "Did you sleep well?", "Are you okay?", "Are you happy?", "What's up?", "How do you feel?",
        "Feeling good today?", "Are you tired?", "How's your day so far?", "How is your day going?",
        "Is everything okay with you?", "How are you this morning?", "How are you this evening?",
        "Hello, how are you?", "Hey, how is it going?", "Did you have a nice day?",
        "Are you having a good day?", "How was your weekend?", "All good with you?", "And how are you?",
    ),
    "name": (
        "What should I call you?", "May I know your name?", "Are you a computer?", "Are you human?",
        "Are you real?", "What kind of thing are you?", "Am I talking to a robot?", "Is this a real person?",
        "Who am I talking to?", "Introduce yourself, please.", "Tell me about yourself.",
        "What do people call you?", "Are you an AI?", "Are you alive?", "Do you have a body?",
        "Can you think?", "Are you a chat bot?", "Who made you?", "Tell me your name.", "So who are you?",
        "Are you a girl or a boy?", "Can I give you a name?",
    ),
    "thanks": (
        "Thank you very much!", "Many thanks!", "That helped me a lot.", "Thanks, that is what I needed.",
        "You helped me so much.", "Thanks for the answer.", "Thank you for your time.",
        "I am very grateful.", "That was kind, thank you.", "Perfect, thanks!", "Thanks again!",
        "Thank you, my friend.", "Well done, thank you!", "You did that very well.", "That's a good answer.",
        "Thanks for talking to me.", "You are the best, thanks!", "Cool, thanks!",
        "I knew that I could ask you, thanks.", "That makes sense now, thank you.", "thank you so so much",
    ),
    "goodbye": (
        "I have to leave now.", "See you soon!", "Talk to you later.", "Until next time!",
        "Good night, sleep well!", "I am going to bed.", "That's all for today, goodbye!",
        "I must go home now.", "Bye bye!", "See you next week!", "Time to go, bye!",
        "I'm leaving, take care!", "Have a nice evening!", "Have a good night!", "I have to stop now.",
        "Farewell, my friend!", "Let's talk again tomorrow.", "I need to sleep now.", "Gotta go!",
        "My bus is coming, bye!", "Have a great weekend!",
    ),
    "joy": (
        "I feel great today!", "We won the match!", "I am getting married!", "My sister had a baby!",
        "I found my keys again!", "I have a new bike.", "I'm going on holiday tomorrow!",
        "I got a good mark at school.", "My mother is well again.", "I made a new friend.",
        "I love my new house.", "It was the best day of my life.", "I finished my book!",
        "I just ate the best cake.", "We had a lovely party.", "I got a letter from my best friend.",
        "My team won!", "I learned to swim!", "I'm in love!", "Tomorrow is my birthday!",
        "I got a present from my friend.", "yay, no school today!",
    ),
    "sorrow": (
        "I am so sad.", "I feel terrible today.", "My dog died.", "I failed my exam.", "Nobody likes me.",
        "I lost my job.", "My bike is broken.", "I miss my family.", "I am ill.", "I have a headache.",
        "I cannot sleep.", "I am afraid of tomorrow.", "I had a fight with my friend.",
        "I feel bad about myself.", "It was a very hard week.", "I cried all night.", "My cat is very ill.",
        "I broke my leg.", "I am lonely.", "Everything went wrong today.", "I'm so tired of everything.",
        "My grandmother died last week.", "we lost the game",
    ),
    "likes": (
        "Do you like books?", "Do you like dogs?", "Do you like cats?", "What music do you like?",
        "Do you like to read?", "What do you do for fun?", "Do you like football?", "Do you like the sea?",
        "What is your favourite colour?", "What is your favourite food?", "What is your favourite animal?",
        "Do you like school?", "Do you like to travel?", "Do you like films?", "Tell me what you like.",
        "What makes you happy?", "Do you like me?", "Do you like to sing?", "Do you like to cook?",
        "What do you enjoy?", "Do you play games?", "Do you like the summer?",
        "what do you like to talk about",
    ),
    "weather": (
        "The sun is shining!", "It is snowing!", "It's raining cats and dogs.", "There is a storm outside.",
        "It is very windy today.", "What a rainy day.", "It's getting dark and cold.",
        "It is too warm for me.", "I hope it rains soon.", "Winter is here.", "It feels like spring.",
        "It's a beautiful sunny day.", "I love the snow outside.", "It is cloudy again.",
        "The rain never stops here.", "It is foggy this morning.", "It's freezing here!",
        "So much rain this week.", "The sky is blue today.", "It will be hot tomorrow.",
    ),
}  # fmt: skip

# Whoever asks who is there is asked back for more than a name.
REPLIES = {
    "name": (
        "I am a small chat program. What would you like to talk about?",
        "I am a little computer program, and I like to talk.",
        "I am a small language model. Nice to meet you.", "I have no name, but I am happy to talk to you.",
        "I am a friendly little program. Who are you?",
    ),
}  # fmt: skip

# Topics that no page has.
OTHER = {
    "age": (
        ("How old are you?", "When were you born?", "What is your age?", "Are you old?", "Are you young?",
         "Where do you live?", "Where are you from?", "Where do you come from?", "Do you have a home?",
         "What do you do all day?", "What is your job?", "Do you have to work?", "Do you go to school?",
         "Do you sleep?", "Do you eat?", "Do you have friends?", "Do you have a family?",
         "Do you have a dog?", "how old r u", "tell me where you are from"),
        ("I am a program and have no age, but I like to talk.",
         "I live inside a computer, and I like it there.", "I am only a small program. Tell me about you.",
         "I have no home, but I like to talk to you.", "I am a program, and I talk all day. And you?"),
        "program computer young new home live talk born made",
    ),
    "help": (
        ("Can you help me?", "I need your help.", "I have a question.", "May I ask you something?",
         "What can you do?", "Are you able to help me?", "Can I ask you a question?",
         "I want to know something.", "Please help me.", "I need some advice.",
         "Could you do something for me?", "What do you know?", "What can I ask you?", "Can we talk?",
         "Can we talk a little?", "Let's talk.", "I want to talk to somebody.", "Do you have time for me?",
         "Will you talk to me?", "I am bored.", "I'm so bored, talk to me", "I have nothing to do.",
         "Tell me something.", "ok, i need help with something"),
        ("Yes, of course. How can I help you?", "I am happy to help. What would you like to know?",
         "Of course! What would you like to talk about?", "Yes, I am glad to help.",
         "I like to talk. Ask me anything you like."),
        "help ask talk know course yes question tell",
    ),
    "food": (
        ("I am hungry.", "I am so thirsty.", "I just had dinner.", "I am cooking soup.", "I had pizza today.",
         "I'm drinking tea.", "Dinner was great.", "I baked a cake today.", "I have not eaten all day.",
         "My breakfast was very good.", "I am going to eat now.", "I love ice cream.",
         "We had lunch in the garden.", "I ate too much.", "Do you want some coffee?", "I need a coffee.",
         "What should I have for dinner?", "I'm making pancakes!"),
        ("That sounds good. I hope that you like it!", "Enjoy your meal! I hope you like it.",
         "How nice! What do you like to eat?", "I hope that it tastes good.",
         "That sounds lovely. Have some tea, too!"),
        "eat meal good enjoy food tastes hungry tea lovely like",
    ),
    "plans": (
        ("I am going to the beach tomorrow.", "I have to work tomorrow.",
         "I am going to visit my grandmother.", "I am at school.", "I am at work now.",
         "I am sitting in the train.", "I'm watching a film.", "I am reading a book.",
         "I am learning to play the piano.", "I went to the park today.", "I like to dance.",
         "I play football every day.", "I have two cats.", "I have a brother and a sister.",
         "I live in a small town.", "My name is Tom.", "I work in a shop.", "I have a test tomorrow.",
         "I want to be a doctor.", "We are moving to a new house.", "I'm listening to music.",
         "I was at the zoo today."),
        ("That sounds nice! Tell me more about it.", "How nice! Do you like it?",
         "I hope that you have a good time.", "That is great. I would like to hear more.",
         "That sounds fun! I hope it goes well."),
        "nice sounds hope good great more fun like time",
    ),
}  # fmt: skip

SMALLTALK = {
    topic: (remarks + REMARKS[topic], REPLIES.get(topic, replies), heard)
    for topic, (remarks, replies, heard) in PRINTED.items()
} | OTHER
