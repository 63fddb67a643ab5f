"""A JupyterLab server of its own, and one lesson open in it: run, watched, measured, and listened to for complaints."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, WebSocket

# Open to anybody on this machine who knows the port, so that a test needs no login; gone when the tests end.
SERVER_CONFIG = """
import os, threading, time
from jupyterlab.galata import configure_jupyter_server
configure_jupyter_server(c)
c.ServerApp.port = {port}
c.ServerApp.allow_root = True
c.LabApp.extension_manager = "readonly"

def end_with_the_tests():  # also when they are killed and no fixture can tidy up
    while os.getppid() == {parent}:
        time.sleep(1)
    os._exit(1)

threading.Thread(target=end_with_the_tests, daemon=True).start()
"""
SETTINGS = "@jupyterlab/apputils-extension/{plugin}.jupyterlab-settings"
LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]", "::1"}

# What JupyterLab itself writes to the console as an error and no lesson can help. Keep it short; say why.
KNOWN_NOISE: tuple[str, ...] = ()


class LabServer:
    """JupyterLab serving `folder / "course"`, with settings, data and temporary files of its own under `folder`."""

    def __init__(self, folder: Path, seconds: float = 180):
        self.course, self.settings = folder / "course", folder / "settings"
        self.course.mkdir(parents=True, exist_ok=True)
        (folder / "tmp").mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        (folder / "config.py").write_text(SERVER_CONFIG.format(port=port, parent=os.getpid()))
        own = {
            name: str(folder / name.lower())
            for name in (
                "JUPYTER_CONFIG_DIR",
                "JUPYTER_DATA_DIR",
                "JUPYTER_RUNTIME_DIR",
                "IPYTHONDIR",
                "XDG_DATA_HOME",
                "XDG_CONFIG_HOME",
                "XDG_CACHE_HOME",
                "XDG_STATE_HOME",
            )
        }
        own |= {
            "JUPYTERLAB_SETTINGS_DIR": str(self.settings),
            "TMPDIR": str(folder / "tmp"),
            "JUPYTERLAB_GALATA_ROOT_DIR": str(self.course),
            "BLANK_TO_CHAT_HOME": str(folder / "home"),
            "PYTHONUNBUFFERED": "1",
        }
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            self.process = psutil.Popen(
                [sys.executable, "-m", "jupyterlab", "--config", str(folder / "config.py")],
                env=os.environ | own,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + seconds
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"JupyterLab did not start. Its log ends:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/api", timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def use_subshells(self, on: bool) -> None:
        """Sets where JupyterLab sends widget messages: a thread beside the running cell, or the queue behind it."""
        path = self.settings / SETTINGS.format(plugin="kernels-settings")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"commsOverSubshells": "%s"}' % ("perCommTarget" if on else "disabled"))
        news = self.settings / SETTINGS.format(plugin="notification")
        news.write_text('{"fetchNews": "false", "checkForUpdates": false}')

    def stop_kernels(self) -> None:
        """Ends every kernel, as JupyterLab's own menu would."""
        for kernel in json.load(urllib.request.urlopen(f"{self.url}/api/kernels", timeout=10)):
            request = urllib.request.Request(f"{self.url}/api/kernels/{kernel['id']}", method="DELETE")
            urllib.request.urlopen(request, timeout=30).close()

    def stop(self) -> None:
        """Ends the server and everything that it started."""
        if self.process.is_running():
            family = [*self.process.children(recursive=True), self.process]
            for process in family:
                process.kill()
            psutil.wait_procs(family, timeout=10)


class Lesson:
    """One notebook open in JupyterLab.

    `page` is Playwright's page. `complaints` collects console errors, exceptions in the page and requests to
    other machines; `check()` raises if there are any, and the `lesson` fixture calls it at the end of each test.
    """

    def __init__(self, server: LabServer, context: BrowserContext, name: str, watch: tuple[str, ...] = ()):
        if not (server.course / f"{name}.ipynb").exists():
            raise FileNotFoundError(f"there is no course/{name}.ipynb")
        self.server, self.name, self.complaints = server, name, []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(120_000)  # a busy machine is no reason to fail
        self.page.on("request", self._hear_request)
        self.page.on("websocket", self._hear_request)
        self.page.on("pageerror", lambda error: self.complaints.append(f"exception in the page: {error}"))
        self.page.on("console", self._hear_console)
        self.page.add_init_script(path=Path(__file__).with_name("watch.js"))
        self.page.goto(f"{server.url}/lab/tree/{name}.ipynb?reset")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.page.evaluate("selectors => watch.selectors.push(...selectors)", list(watch))
        self._wait_for("() => watch.notebookReady()")

    def _hear_request(self, request: Request | WebSocket) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in LOCAL_HOSTS:
            self.complaints.append(f"request to another machine: {request.url}")

    def _hear_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(noise in message.text for noise in KNOWN_NOISE):
            self.complaints.append(f"console error: {message.text} ({message.location.get('url', '')})")

    def check(self) -> None:
        """Raises AssertionError with everything that the page complained of since it was opened."""
        assert not self.complaints, f"{self.name}: " + "\n".join(self.complaints)

    def _wait_for(self, script: str, argument: object = None, seconds: float = 60) -> object:
        """What the promise of `script` gives; fails after `seconds`, which Playwright's `evaluate` never does."""
        return self.page.evaluate(
            "([argument, seconds]) => Promise.race([(" + script + ")(argument), new Promise((_, fail) =>"
            " setTimeout(() => fail(new Error(`no answer in ${seconds} s`)), 1000 * seconds))])",
            [argument, seconds],
        )

    def command(self, command: str, seconds: float = 30, **arguments: object) -> None:
        """Runs a command of JupyterLab and waits for its end, such as `command("notebook:run-cell")`."""
        self._wait_for(
            "([id, given]) => jupyterapp.commands.execute(id, given).then(() => null)", [command, arguments], seconds
        )

    def start_all(self) -> None:
        """Starts "run all cells" and returns at once."""
        self.page.evaluate(
            "() => { watch.done = null;"
            " jupyterapp.commands.execute('notebook:run-all-cells').then(() => watch.done = true); }"
        )

    def run_all(self, seconds: float = 120) -> None:
        """Runs all cells and waits until the kernel is idle; raises AssertionError if a cell ended in an error."""
        self.start_all()
        self.page.wait_for_function("() => watch.done", timeout=seconds * 1000)
        self.page.wait_for_selector(
            '.jp-Notebook-ExecutionIndicator[data-status="idle"]', state="attached", timeout=seconds * 1000
        )
        self._check_cells()

    def _check_cells(self) -> None:
        errors = self.page.evaluate(
            "() => jupyterapp.shell.currentWidget.content.widgets.flatMap(cell =>"
            " cell.model.type === 'code' ? cell.model.outputs.toJSON() : [])"
            ".filter(output => output.output_type === 'error').map(output => `${output.ename}: ${output.evalue}`)"
        )
        assert not errors, f"{self.name}: cells ended in errors: {errors}"

    def run_until(self, source: str, seconds: float = 120) -> None:
        """Runs all cells up to and including the first code cell that contains `source`, and waits for them.

        Raises: AssertionError if a cell ended in an error; Playwright's Error if no cell contains `source`.
        """
        self._run(source, 1, "notebook:run-all-above", seconds)

    def run_cell(self, source: str, seconds: float = 60) -> None:
        """Runs the first code cell that contains `source`, as `run_until` does, but no other one."""
        self._run(source, 0, "notebook:run-cell", seconds)

    def _run(self, source: str, offset: int, command: str, seconds: float) -> None:
        """Makes the cell `offset` behind the first one that contains `source` the active one, and runs the command."""
        self._wait_for(
            """async ([source, offset, command]) => {
                const notebook = jupyterapp.shell.currentWidget.content;
                const place = notebook.widgets.findIndex((cell) =>
                    cell.model.type === "code" && cell.model.sharedModel.getSource().includes(source));
                if (place === -1) throw new Error(`no cell contains ${source}`);
                notebook.activeCellIndex = place + offset;
                await jupyterapp.commands.execute(command);
            }""",
            [source, offset, command],
            seconds,
        )
        self._check_cells()

    def run_source(self, source: str, seconds: float = 30) -> str:
        """Runs Python in the lesson's kernel, outside any cell, and returns what it printed."""
        return self._wait_for(
            """async (code) => {
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({ code, store_history: false });
                let printed = "";
                future.onIOPub = ({ header, content }) => {
                    if (header.msg_type === "stream") printed += content.text;
                    if (header.msg_type === "error") printed += `${content.ename}: ${content.evalue}`;
                };
                await future.done;
                return printed;
            }""",
            source,
            seconds,
        )

    def widget(self, name: str) -> Locator:
        """The widget of this class name, such as `widget("AttentionExplorer")`."""
        return self.page.locator(f'[data-widget="{name}"]')

    def type_text(self, name: str, text: str) -> None:
        """Types over what stands in the text box of the first widget of this name; waits for the answering picture."""
        box = self.widget(name).first.get_by_role("textbox")
        answered = f"""document.querySelector('[data-widget="{name}"]').dataset.request"""
        self.reaction(lambda: box.fill(text), read=answered, event="input")

    def first_seen(self, selector: str) -> float:
        """Seconds from the start of the cell that shows `selector` until it was visible.

        `selector` must be one of those given to `lesson(..., watch=[...])`.
        """
        return self.page.evaluate("selector => watch.secondsToSee(selector)", selector)

    def reaction(self, act: Callable[[], object], read: str, event: str = "keydown", seconds: float = 30) -> float:
        """Milliseconds from the `event` that `act` causes until `read` changes and the change is painted.

        `read` is a JavaScript expression over the page; have it name just what must change (an attribute that
        carries the new setting, say), since whatever else is drawn meanwhile must not count.
        """
        self.page.evaluate(f"event => watch.timeReaction(event, () => ({read}))", event)
        act()
        self.page.wait_for_function("() => watch.reaction !== null", timeout=seconds * 1000)
        return self.page.evaluate("() => watch.reaction")
