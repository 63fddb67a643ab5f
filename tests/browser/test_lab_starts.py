"""The harness itself: it runs a notebook, measures it, and does notice what must not happen."""

import json
import urllib.request

import nbformat.v4 as nbf
import pytest

from tests.browser.measurements import record_measurement

COUNTER = '''
import threading
import anywidget, traitlets

class Counter(anywidget.AnyWidget):
    _esm = """
    function render({ model, el }) {
        el.innerHTML = '<button data-widget="Counter">count</button>';
        const button = el.firstChild;
        button.onclick = () => model.send("count");
        model.on("change:count", () => { button.dataset.count = model.get("count"); });
    }
    export default { render };
    """
    count = traitlets.Int(0).tag(sync=True)
    threads = []

counter = Counter()
def count(widget, content, buffers):
    counter.threads.append(threading.current_thread() is threading.main_thread())
    counter.count += 1
counter.on_msg(count)
'''
SHOW = "import time\ntime.sleep(0.5)\ncounter"
COUNT = "document.querySelector('[data-widget=Counter]').dataset.count"


def notebook(*sources: str):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbf.new_notebook(cells=[nbf.new_code_cell(source) for source in sources], metadata={"kernelspec": kernel})


@pytest.mark.parametrize("subshells", [True, False])
def test_widget_is_shown_and_answers(lesson, subshells):
    counter = lesson("counter", notebook=notebook(COUNTER, SHOW), watch=["[data-widget=Counter]"], subshells=subshells)
    counter.run_all()
    assert 0.5 < counter.first_seen("[data-widget=Counter]") < 3

    button = counter.widget("Counter")
    button.focus()
    reactions = [counter.reaction(lambda: button.press("Enter"), read=COUNT) for _ in range(5)]
    assert button.get_attribute("data-count") == "5"
    assert all(0 < reaction < 1000 for reaction in reactions)
    in_main_thread = counter.run_source("print(counter.threads[-1])").strip()  # the first click may outrun the subshell
    assert in_main_thread == str(not subshells)


@pytest.mark.parametrize("subshells, seconds, meanwhile", [(True, 30, 2), (False, 3, 1)])
def test_only_a_subshell_answers_while_a_cell_runs(lesson, subshells, seconds, meanwhile):
    counter = lesson("counter", notebook=notebook(COUNTER, SHOW), subshells=subshells)
    counter.run_all()
    button = counter.widget("Counter")
    counter.reaction(lambda: button.press("Enter"), read=COUNT)  # ipykernel 7.4 takes a widget's first message in turn
    wait = f"end = time.time() + {seconds}\nwhile counter.count < 2 and time.time() < end:\n    time.sleep(0.01)"
    counter.page.evaluate(
        "code => void jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({ code })",
        f"{wait}\nmeanwhile = counter.count",
    )
    counter.reaction(lambda: button.press("Enter"), read=COUNT)
    assert counter.run_source("print(meanwhile)").strip() == str(meanwhile)


def test_an_error_in_a_cell_is_told(lesson):
    with pytest.raises(AssertionError, match="ZeroDivisionError: division by zero"):
        lesson("broken", notebook=notebook("1 / 0")).run_all()


@pytest.mark.parametrize(
    "script, complaint",
    [
        ("console.error('it burns')", "console error: it burns"),
        ("setTimeout(() => { throw new Error('thrown later') })", "exception in the page: .*thrown later"),
        (
            "fetch('https://example.org/tracker.js').catch(() => 0)",
            "request to another machine: https://example.org/tracker.js",
        ),
        ("new WebSocket('ws://example.org/live')", "request to another machine: ws://example.org/live"),
    ],
)
def test_complaints_are_noticed(lesson, script, complaint):
    page = lesson("complaining", notebook=notebook(f"from IPython.display import Javascript\nJavascript({script!r})"))
    page.run_all()
    page.page.wait_for_timeout(500)
    with pytest.raises(AssertionError, match=complaint):
        page.check()
    page.complaints.clear()


def test_everything_is_ended_after_a_test(lab):
    assert urllib.request.urlopen(f"{lab.url}/api/kernels").read() == b"[]"


def test_measurements_are_recorded_only_when_asked(tmp_path, monkeypatch):
    path = tmp_path / "browser.json"
    monkeypatch.delenv("FBC_RECORD", raising=False)
    assert record_measurement("click", [1.0, 2.0, 9.0], path=path) == {"median": 2.0, "p95": 8.3, "n": 3}
    assert not path.exists()

    monkeypatch.setenv("FBC_RECORD", "1")
    record_measurement("click", [1.0, 2.0, 9.0], path=path)
    record_measurement("start", [2.5], unit="s", path=path)
    recorded = json.loads(path.read_text())
    assert recorded["click"]["values"] == [1.0, 2.0, 9.0]
    assert (recorded["start"]["median"], recorded["start"]["p95"], recorded["start"]["unit"]) == (2.5, 2.5, "s")
    assert recorded["start"]["machine"]["cores"] >= 1
