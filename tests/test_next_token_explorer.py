"""The explorer shows the models' own probabilities, and draws from what temperature, top-k and top-p leave of them."""

import math

import pytest
import torch
import traitlets

from lmcore.models import Recurrent, RecurrentConfig, generate
from lmcore.models.ngram import NGram
from tests.test_attention_explorer import TEXTS, tiny
from widgets import NextTokenExplorer
from widgets.next_token_explorer import SHOWN

TEXT = "The cat sat on"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """For models this small a second thread is only something to wait for."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def three():
    """An n-gram that counted two sentences, and a random LSTM and GPT; and their tokenizer."""
    gpt, tokenizer = tiny(causal=True)
    tokens = [i for text in TEXTS for i in (tokenizer.eot_id, *tokenizer.encode(text))] + [tokenizer.eot_id]
    ngram = NGram(3, tokenizer.vocab_size, "kneser-ney").fit(torch.tensor(tokens))
    config = RecurrentConfig(tokenizer.vocab_size, n_embd=16, n_hidden=24)
    lstm = Recurrent(config, torch.Generator().manual_seed(1))
    with torch.no_grad():
        lstm.embedding.weight.mul_(30)
    return {"3-gram": ngram, "LSTM": lstm, "GPT": gpt}, tokenizer


@torch.no_grad()
def expected(model, tokenizer, text):
    """What the model says after an end-of-text token and the text, asked without the widget."""
    ids = [tokenizer.eot_id, *tokenizer.encode(text)]
    if isinstance(model, NGram):
        return model.probabilities(ids)
    return model(torch.tensor([ids]))[0, -1].softmax(-1)


def page(explorer, **state):
    """A message from the page."""
    explorer.set_state({**state, "request": explorer.request + 1})


def wish(explorer, **what):
    page(explorer, _wish={**what, "request": explorer.request + 1})


def test_every_model_shows_its_own_most_probable_tokens(three):
    models, tokenizer = three
    explorer = NextTokenExplorer(models, tokenizer, TEXT)
    assert list(explorer.outlooks) == list(models) and explorer.message == ""
    for name, outlook in explorer.outlooks.items():
        truth = expected(models[name], tokenizer, TEXT)
        best = truth.topk(SHOWN)
        assert [one.model for one in outlook.candidates] == pytest.approx(best.values.tolist(), rel=1e-4)
        for one in outlook.candidates:
            assert one.model == pytest.approx(float(truth[one.id]), rel=1e-4)
            assert one.model == pytest.approx(one.before) == pytest.approx(one.after)
            assert one.token == tokenizer.pieces([one.id])[0] or one.id == tokenizer.eot_id
        bits = -sum(p * math.log2(p) for p in truth.tolist() if p > 0)
        assert [outlook.entropy, outlook.entropy_drawn] == pytest.approx([bits, bits], abs=1e-3)
        assert (outlook.kept, outlook.cut) == (int((truth > 0).sum()), 0)


def test_the_ngram_reads_two_tokens_and_the_others_all(three):
    models, tokenizer = three
    explorer = NextTokenExplorer(models, tokenizer, TEXT)
    count = len(tokenizer.encode(TEXT))
    assert [outlook.reads for outlook in explorer.outlooks.values()] == [2, count, count]
    sight = {one["name"]: one["sight"] for one in explorer._picture["models"]}
    assert sight == {"3-gram": tokenizer.decode(tokenizer.encode(TEXT)[-2:]), "LSTM": None, "GPT": None}


def test_what_is_cut_away_and_what_is_left_add_up(three):
    models, tokenizer = three
    explorer = NextTokenExplorer(models, tokenizer, TEXT, temperature=0.7, top_k=4)
    for name, outlook in explorer.outlooks.items():
        heated = expected(models[name], tokenizer, TEXT) ** (1 / 0.7)
        heated = (heated / heated.sum()).sort(descending=True).values.tolist()
        most = sum(p > heated[3] * (1 - 1e-4) for p in heated)  # of equals none is cut alone; counts are often equal
        assert most == 4 or name == "3-gram"
        assert outlook.kept == most and outlook.cut == pytest.approx(sum(heated[most:]), abs=1e-4)
        assert [one.before for one in outlook.candidates] == pytest.approx(heated[:SHOWN], rel=1e-3)
        kept = [p / sum(heated[:most]) for p in heated[:most]]
        assert [one.after for one in outlook.candidates] == pytest.approx((kept + [0.0] * SHOWN)[:SHOWN], rel=1e-3)
        assert outlook.entropy_drawn == pytest.approx(-sum(p * math.log2(p) for p in kept), abs=1e-3)
    explorer.top_k, explorer.top_p, explorer.temperature = None, 0.5, 1.0
    for outlook in explorer.outlooks.values():
        assert 1 - outlook.cut >= 0.5 - 1e-4
        assert sum(one.after for one in outlook.candidates) <= 1 + 1e-5
        least = min((one.before for one in outlook.candidates if one.after), default=0)
        assert outlook.kept > SHOWN or 1 - outlook.cut - least < 0.5, "one token fewer would not have been enough"


def test_temperature_zero_leaves_the_most_probable(three):
    explorer = NextTokenExplorer(*three, TEXT, temperature=0)
    for outlook in explorer.outlooks.values():
        assert [one.after for one in outlook.candidates] == [1.0] + [0.0] * (SHOWN - 1)
        assert outlook.entropy_drawn == 0 < outlook.entropy and outlook.kept == 1
    best = explorer.outlooks["GPT"].candidates[0].token
    assert explorer.draw("GPT") == best
    assert len(set(explorer.write_on(5).values()) | set(explorer.write_on(5).values())) <= 3


def test_the_same_tokens_for_all_models_can_be_listed(three):
    explorer = NextTokenExplorer(*three, TEXT)
    own = [[one.id for one in outlook.candidates] for outlook in explorer.outlooks.values()]
    explorer.order = "same"
    same = [[one.id for one in outlook.candidates] for outlook in explorer.outlooks.values()]
    assert same[0] == same[1] == same[2] and own[0] != own[1] != own[2]


def test_a_click_continues_the_text_and_back_takes_it_away(three):
    models, tokenizer = three
    explorer = NextTokenExplorer(models, tokenizer, TEXT)
    cat = tokenizer.encode(" cat")
    assert len(cat) == 1
    wish(explorer, do="take", token=cat[0])
    assert explorer.text == TEXT + " cat" == explorer._picture["text"]
    assert explorer._picture["request"] == explorer.request == 1
    wish(explorer, do="back")
    assert explorer.text == TEXT
    page(explorer, text=TEXT + "  ")  # a space at the end belongs to the next word
    assert explorer._picture["count"] == len(tokenizer.encode(TEXT))
    explorer.take(cat[0])
    assert explorer.text == TEXT + " cat"


def test_a_text_and_a_wish_in_one_message_belong_together(three):
    explorer = NextTokenExplorer(*three, TEXT, seed=3)
    page(explorer, text="My dog", _wish={"do": "draw", "model": "GPT", "request": 1})
    assert explorer.text.startswith("My dog") and explorer._picture["text"] == explorer.text
    drawn = explorer._picture["drawn"]
    assert (drawn["model"], drawn["seed"], explorer.seed) == ("GPT", 3, 4)


def test_a_seed_gives_the_same_draw_again_and_seeds_differ(three):
    models, tokenizer = three
    explorer = NextTokenExplorer(models, tokenizer, TEXT, top_k=40)
    drawn = {}
    for seed in list(range(30)) * 2:
        explorer.text, explorer.seed = TEXT, seed
        token = explorer.draw("GPT")
        assert drawn.setdefault(seed, token) == token
    assert len(set(drawn.values())) > 1


def test_draws_are_as_frequent_as_the_bars_say(three):
    models, tokenizer = three
    explorer = NextTokenExplorer(models["3-gram"], tokenizer, TEXT, temperature=1.4)
    shares = {one.token: one.after for one in explorer.outlooks["NGram"].candidates[:3]}
    assert len(shares) == 3
    drawn = []
    for seed in range(200):
        explorer.text, explorer.seed = TEXT, seed
        drawn.append(explorer.draw())
    for token, share in shares.items():
        assert drawn.count(token) / 200 == pytest.approx(share, abs=0.12)


def test_writing_on_is_what_generate_draws_from_the_same_settings(three):
    models, tokenizer = three
    explorer = NextTokenExplorer(models, tokenizer, TEXT, temperature=0.9, top_k=50, top_p=0.9, seed=5)
    wish(explorer, do="write")
    assert explorer.text == TEXT and explorer.seed == 6
    found = explorer._picture["continuations"]
    ids = [tokenizer.eot_id, *tokenizer.encode(TEXT)]
    for name in ("LSTM", "GPT"):
        generator = torch.Generator().manual_seed(5)
        out = generate(
            models[name], [ids], 24, temperature=0.9, top_k=50, top_p=0.9, stop_id=tokenizer.eot_id, generator=generator
        )
        assert found[name]["text"] == tokenizer.decode(out.completions[0])
        assert found[name]["ended"] == bool(out.ended[0])
    assert 0 < found["3-gram"]["tokens"] <= 24
    page(explorer, temperature=0.8)
    assert explorer._picture["continuations"] == found, "another slider is no reason to take it away"
    page(explorer, text="My dog")
    assert "continuations" not in explorer._picture, "it belonged to another text"


def test_a_drawn_end_of_text_is_told_and_changes_nothing(three):
    models, tokenizer = three
    explorer = NextTokenExplorer(models, tokenizer, TEXTS[0], temperature=0)
    assert explorer.outlooks["3-gram"].candidates[0].token == "end of text", "the counted text ended here"
    assert explorer.draw("3-gram") == "end of text"
    assert explorer.text == TEXTS[0] and explorer._picture["drawn"]["token"] == "end of text"
    assert explorer.write_on()["3-gram"] == "" and explorer._picture["continuations"]["3-gram"]["ended"]
    with pytest.raises(ValueError, match="cannot be written"):
        explorer.take(tokenizer.eot_id)
    wish(explorer, do="take", token=tokenizer.eot_id)
    assert "cannot be written" in explorer.message and explorer.text == TEXTS[0]
    page(explorer, text="My dog")
    assert explorer.message == ""


def test_a_slider_does_not_ask_the_models_again_and_look_does(three):
    models, tokenizer = three
    explorer = NextTokenExplorer(models, tokenizer, TEXT)
    runs = []
    handle = models["GPT"].register_forward_hook(lambda *_: runs.append(1))
    for temperature in (0.5, 1.5):
        page(explorer, temperature=temperature)
    assert not runs
    page(explorer, text=TEXT + " my")
    assert len(runs) == 1
    explorer.look()
    assert len(runs) == 2
    handle.remove()


@pytest.mark.parametrize("text", ["a 🙂 b", "🙂", "<img src=x onerror=1>", "<|endoftext|>", "\ud83d", "\n", "- hi\n-"])
def test_any_text_is_text(three, text):
    explorer = NextTokenExplorer(*three, text)
    assert explorer.message == "" and len(explorer.outlooks) == 3
    assert three[1].eot_id not in explorer._read[1][1:]
    explorer.draw("GPT")
    explorer.back()


def test_no_text_and_a_long_text_are_answered_by_a_sentence(three):
    models, tokenizer = three
    explorer = NextTokenExplorer(models, tokenizer, "   ")
    assert "no text yet" in explorer.message
    assert explorer.outlooks["GPT"].candidates[0].model == pytest.approx(
        float(expected(models["GPT"], tokenizer, "").max()), rel=1e-4
    )
    explorer.back()
    explorer.write_on()
    explorer.text = "cat " * 100
    length = len(tokenizer.encode(explorer.text.rstrip()))
    assert f"{length} tokens" in explorer.message and "the last 64" in explorer.message
    assert explorer.outlooks["LSTM"].reads == 64
    explorer.write_on(8)


def test_a_diverged_model_is_told_and_the_widget_lives_on():
    model, tokenizer = tiny(causal=True)
    explorer = NextTokenExplorer({"GPT": model}, tokenizer, "the")
    healthy = model.norm.weight.detach().clone()
    model.norm.weight.data.fill_(float("nan"))
    explorer.text = "a"
    assert "diverged" in explorer.message and explorer.outlooks == {}
    wish(explorer, do="write")
    assert "diverged" in explorer.message
    model.norm.weight.data = healthy
    explorer.text = "my"
    assert explorer.message == "" and explorer.outlooks


def test_what_does_not_fit_is_refused(three):
    models, tokenizer = three
    for wrong in ({"temperature": -1}, {"temperature": 3.0}, {"top_k": 0}, {"top_p": 0}, {"top_p": 1.5}, {"seed": -1}):
        with pytest.raises(traitlets.TraitError):
            NextTokenExplorer(models, tokenizer, **wrong)
    with pytest.raises(ValueError, match="causal"):
        NextTokenExplorer({"BERT": tiny(causal=False)[0]}, tokenizer)
    with pytest.raises(ValueError, match="do not belong together"):
        NextTokenExplorer(NGram(2, 4096), tokenizer)
    with pytest.raises(KeyError, match="there are 3-gram, LSTM, GPT"):
        NextTokenExplorer(models, tokenizer).draw("BERT")


def test_a_learners_own_counting_model_will_do(three):
    class Even:
        def probabilities(self, context):
            return [1 / three[1].vocab_size] * three[1].vocab_size

    explorer = NextTokenExplorer(Even(), three[1], "x")
    assert explorer.outlooks["Even"].entropy == pytest.approx(math.log2(three[1].vocab_size), abs=1e-3)


def test_figure_and_repr(three):
    explorer = NextTokenExplorer(*three, TEXT, top_k=3)
    figure = explorer.figure()
    assert len(figure.data) == 6
    kept, cut = figure.data[2:4]
    shown = explorer.outlooks["LSTM"].candidates[::-1]
    assert list(kept.x) == [one.after for one in shown]
    assert list(cut.x) == [0 if one.after else one.before for one in shown] and sum(x > 0 for x in kept.x) == 3
    assert repr(explorer) == "NextTokenExplorer()"
