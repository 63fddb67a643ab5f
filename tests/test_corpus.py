"""The chat corpus is clean, split without leaks and always the same; `load` reads a text or says why it cannot."""

import codecs
import contextlib
import hashlib
import http.server
import os
import re
import socketserver
import subprocess
import sys
import threading
import time
from itertools import combinations
from pathlib import Path

import pytest

from lmcore.data import almanac, corpus
from lmcore.data.chitchat import _turn


@pytest.fixture(scope="module")
def chat():
    return corpus.chitchat()


@pytest.fixture(scope="module")
def texts(chat) -> list[str]:
    return [text for split in corpus.SPLITS for text in chat[split]["text"]]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """The library's cache stays out of the home directory of whoever runs the tests."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def test_importing_data_does_not_import_datasets():
    program = "import sys, lmcore, lmcore.data; assert lmcore.data.corpus; sys.exit('datasets' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_chitchat_has_the_size_it_was_found_to_have(chat, texts):
    assert set(chat) == set(corpus.SPLITS)
    assert 2600 < len(texts) < 3000
    assert 85_000 < sum(text.count("\n") + 1 for text in texts) < 100_000
    assert 1_400_000 < sum(len(text.split()) for text in texts) < 1_700_000
    shares = [len(chat[split]) / len(texts) for split in corpus.SPLITS]
    assert shares == pytest.approx([0.90, 0.05, 0.05], abs=0.02)


def test_rows_are_conversations(chat):
    for row in chat["validation"]:
        roles = [message["role"] for message in row["messages"]]
        assert len(roles) >= 4 and roles == (["user", "assistant"] * len(roles))[: len(roles)]
        assert row["text"].split("\n") == [message["content"] for message in row["messages"]]
        assert all(line and line == " ".join(line.split()) for line in row["text"].split("\n"))
        for rating in ("witty", "interesting", "upbeat"):
            assert row[rating] is None or 1 <= row[rating] <= 10
    assert sum(rating is not None for rating in chat["train"]["witty"]) > 1000


def test_no_conversation_is_in_two_splits(chat):
    for one, other in combinations(corpus.SPLITS, 2):
        assert set(chat[one]["conversation_id"]).isdisjoint(chat[other]["conversation_id"])
        assert set(chat[one]["text"]).isdisjoint(chat[other]["text"])
        long = [
            {m["content"] for ms in chat[s]["messages"] for m in ms if len(m["content"]) > 200} for s in (one, other)
        ]
        assert len(long[0]) > 50 and long[0].isdisjoint(long[1])  # not even a long turn is repeated


def test_no_name_that_the_almanac_keeps_out(texts):
    names = almanac.names_kept_out()
    assert len(names) > 50
    everything = "\n".join(texts).lower()
    suspects = [name for name in names if name.lower() in everything]  # such as "Male" in "female"
    assert not [name for name in suspects if re.search(rf"\b{re.escape(name.lower())}s?\b", everything)]


def test_nothing_in_it_that_a_course_can_do_without(texts):
    everything = "\n".join(texts).lower()
    assert not re.search(r"https?:|www\.|@|\.com\b|\d{3}[ .)-]+\d{3}[ .-]\d{4}", everything)
    strong = codecs.decode("fuvg|shpx|ovgpu|phag|juber|avttre|snttbg|cbea|encr|ergneq", "rot13")
    assert not re.search(rf"\b(?:{strong})", everything)
    assert max(map(len, everything.split())) <= 30
    assert "asdf" not in everything


def test_chitchat_is_the_same_in_every_process(texts):
    program = (
        "import hashlib; from lmcore.data import chitchat, corpus\n"
        "rows = [(corpus._split_of(row['conversation_id']), row['text']) for row in chitchat.conversations()]\n"
        "texts = [text for name in corpus.SPLITS for split, text in rows if split == name]\n"
        "print(hashlib.sha256(repr(texts).encode()).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "5"}
    again = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == hashlib.sha256(repr(texts).encode()).hexdigest()


def test_changing_the_returned_dict_changes_nothing(chat):
    corpus.chitchat().pop("train")
    assert "train" in corpus.chitchat()


@pytest.mark.parametrize(
    "messages, turn",
    [
        (["Hello", "How are you?"], "Hello. How are you?"),
        (["i like", "cats"], "i like cats"),
        (["Really?", "Cool"], "Really? Cool"),
        ([" two   spaces ", "", "\n"], "two spaces"),
    ],
)
def test_messages_of_one_person_become_one_turn(messages, turn):
    assert _turn([{"text": text} for text in messages]) == turn


def test_turn_pairs_are_exchanges_of_their_split(chat):
    assert len(corpus.turn_pairs("train")) > 3000
    pairs = corpus.turn_pairs("validation")["messages"]
    assert len(pairs) > 100
    turns = {message["content"] for messages in chat["validation"]["messages"] for message in messages}
    for asked, answered in pairs:
        assert (asked["role"], answered["role"]) == ("user", "assistant")
        assert answered["content"] in turns and any(turn.endswith(asked["content"]) for turn in turns)
        assert 2 <= len(asked["content"].split()) <= 30 and 2 <= len(answered["content"].split()) <= 25
        assert not re.search(r"\b(chat|raffle|website|byu)", f"{asked['content']} {answered['content']}".lower())
    with pytest.raises(corpus.CorpusError, match="'dev'.*train, validation, test"):
        corpus.turn_pairs("dev")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "name, content",
    [
        ("lines.txt", "first text\nsecond text\n"),
        ("blocks.txt", "first text\n\n\nsecond text\n\n"),
        ("odd [1]*.txt", "first text\nsecond text"),
        ("rows.csv", "text,n\nfirst text,1\n,2\nsecond text,3\n"),
        ("list.json", '[{"text": "first text"}, {"text": "second text"}]'),
        ("rows.jsonl", '{"text": "first text"}\n{"text": null}\n{"text": "second text"}\n{"text": "  "}\n'),
        ("folder/a/1.txt", "first text\nsecond text"),
    ],
)
def test_load_reads_files_and_folders(tmp_path, monkeypatch, name, content, streaming):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    path = "folder" if name.startswith("folder") else name
    loaded = corpus.load(path, streaming=streaming)
    assert [row for row in loaded] == [{"text": "first text"}, {"text": "second text"}]
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [file]  # nothing is written beside it


def test_load_leaves_out_what_is_hidden(tmp_path):
    (tmp_path / ".mine" / ".ipynb_checkpoints").mkdir(parents=True)
    (tmp_path / ".mine" / "story.txt").write_text("as it is now")
    (tmp_path / ".mine" / ".ipynb_checkpoints" / "story-checkpoint.txt").write_text("as JupyterLab saved it before")
    (tmp_path / ".mine" / ".secret.txt").write_text("a diary")
    assert corpus.load(tmp_path / ".mine")["text"] == ["as it is now"]  # a hidden folder may be asked for by name


def test_load_parquet_takes_another_column_and_leaves_the_rest(tmp_path):
    from datasets import Dataset

    file = tmp_path / "books.parquet"
    Dataset.from_dict({"title": ["A"], "body": ["Once upon a time."], "text": ["-"]}).to_parquet(file)
    assert corpus.load(file, column="body")[:] == {"text": ["Once upon a time."]}


def test_blank_lines_keep_wrapped_lines_together(tmp_path):
    (tmp_path / "book.txt").write_text("It was a dark\nand stormy night.\n\nThe end.\n")
    assert corpus.load(tmp_path / "book.txt")["text"] == ["It was a dark\nand stormy night.", "The end."]


WRONG = {
    "nothing.txt": (None, "there is no file or folder .*nothing.txt"),
    "empty.txt": (b"", "empty.txt is empty"),
    "empty.csv": (b"", "empty.csv is empty"),
    "header.csv": (b"text,n\n", "header.csv is empty: it has no rows"),
    "blank.txt": (b"\n  \n", "blank.txt is empty: no row of its column 'text'"),
    "other.csv": (b"title,body\na,b\n", "no column 'text', it has 'title', 'body'"),
    "numbers.csv": (b"text\n1\n2\n", "column 'text' of .*numbers.csv holds no text but int: 1"),
    "lists.json": (b'[{"text": [1, 2]}]', "holds no text but list"),
    "cut.json": (b'[{"text": "hel', "cut.json cannot be read: "),
    "torn.csv": (b'text\na\n"b\nc,d', "torn.csv cannot be read: "),
    "cut.parquet": (b"PAR1 and no more", "cut.parquet cannot be read: .*magic bytes"),
    "picture.txt": (bytes(range(256)), "picture.txt cannot be read: .*utf-8"),
    "paper.pdf": (b"%PDF", "paper.pdf: no file here that can be read; those are .txt, .csv"),
}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", WRONG)
def test_load_says_what_is_wrong(tmp_path, name, streaming):
    content, sentence = WRONG[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(corpus.CorpusError, match=sentence):
        corpus.load(tmp_path / name, streaming=streaming)


def test_load_says_what_is_wrong_with_a_folder(tmp_path):
    with pytest.raises(corpus.CorpusError, match="no file here"):
        corpus.load(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(corpus.CorpusError, match="is empty"):
        corpus.load(tmp_path)
    (tmp_path / "b.csv").write_text("text\nb\n")
    with pytest.raises(corpus.CorpusError, match=r"several kinds of files \(csv, text\)"):
        corpus.load(tmp_path)


NO_FILE = "there is no file or folder "  # which is all that Windows finds wrong


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("word " * 80, rf"'word word .*\.\.\.' cannot be found \(.*\): name a file|{NO_FILE}word word"),
        ("~nosuchuser/x.txt", f"'~nosuchuser/x.txt' cannot be found .*home directory|{NO_FILE}~nosuch"),
        ("", "an empty name says nothing"),
        ("  ", "an empty name says nothing"),
    ],
)
def test_what_can_be_no_path_is_a_sentence(tmp_path, monkeypatch, given, sentence):
    monkeypatch.chdir(tmp_path)
    Path("diary.txt").write_text("not asked for")
    with pytest.raises(corpus.CorpusError, match=sentence):
        corpus.load(given)


def test_of_a_folder_only_files_are_read(tmp_path):
    (tmp_path / "story.txt").write_text("Once upon a time.")
    (tmp_path / "notes.txt").mkdir()
    (tmp_path / "notes.txt" / "first.txt").write_text("Milk, bread.")
    assert sorted(corpus.load(tmp_path)["text"]) == ["Milk, bread.", "Once upon a time."]


def test_a_link_to_what_is_gone_is_left_out(tmp_path):
    try:
        (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    except OSError:
        pytest.skip("this Windows lets nobody make a link")
    with pytest.raises(corpus.CorpusError, match="no file here"):
        corpus.load(tmp_path)
    (tmp_path / "story.txt").write_text("Once upon a time.")
    assert corpus.load(tmp_path)["text"] == ["Once upon a time."]


def test_a_file_that_may_not_be_opened_is_a_sentence(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "secret.txt").write_text("a diary")
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(corpus.CorpusError, match=r"secret\.txt cannot be read: .*Permission denied"):
        corpus.load(tmp_path / "secret.txt")


@pytest.mark.parametrize("streaming", [False, True])
def test_without_a_network_a_hub_id_is_answered_quickly(monkeypatch, streaming):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    started = time.monotonic()
    with pytest.raises(corpus.CorpusError, match=r"'roneneldan/TinyStories'.*cannot be reached.*corpus\.chitchat\(\)"):
        corpus.load("roneneldan/TinyStories", streaming=streaming)
    assert time.monotonic() - started < 6  # the library alone: 23 s


def test_a_network_that_trickles_is_given_up():
    class Trickle(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                for byte in b"HTTP/1.1 200 OK, but not today":
                    self.request.send(bytes([byte]))
                    time.sleep(0.15)

    network = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Trickle)
    network.daemon_threads, network.block_on_close = True, False
    threading.Thread(target=network.serve_forever, daemon=True).start()
    try:
        started = time.monotonic()
        assert not corpus._answers(f"http://127.0.0.1:{network.server_address[1]}", seconds=0.5)
        assert time.monotonic() - started < 3  # each byte comes in time, all of them take 4.5 s
    finally:
        network.shutdown()
        network.server_close()


def test_a_hub_that_does_not_know_the_dataset_says_so():
    class Hub(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_POST = answer

        def log_message(self, *_):
            pass

    hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    program = """if True:
        from lmcore.data import corpus
        try:
            corpus.load("nobody/nothing")
        except corpus.CorpusError as error:
            print(error)
    """
    environment = os.environ | {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}"}  # read once, by the import
    try:
        run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    finally:
        hub.shutdown()
        hub.server_close()
    assert re.search("nobody/nothing.*doesn't exist on the Hub", run.stdout), run


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_chitchat_package_is_named(tmp_path, monkeypatch, damage):
    package = tmp_path / "chitchat_dataset"
    package.mkdir()
    (package / "__init__.py").touch()
    if damage == "cut":
        (package / "dataset.json").write_text('{"a": {"messages": [')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "chitchat_dataset", raising=False)
    with pytest.raises(corpus.CorpusError, match="damaged.*pip install --force-reinstall chitchat-dataset"):
        corpus._splits.__wrapped__()
    monkeypatch.delitem(sys.modules, "chitchat_dataset", raising=False)
