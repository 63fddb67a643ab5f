"""A live training in a real kernel, where a cell is run twice and the page speaks while another runs."""

import time
from pathlib import Path

from jupyter_client import KernelManager

CELL = """
from tests.line_trainer import LineTrainer, LiveTraining
live = LiveTraining(LineTrainer(seconds=0.02), steps=1000)
live
"""


def test_in_a_real_kernel_a_cell_run_twice_leaves_one_training_and_no_stray_text():
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=Path(__file__).parents[1])
    client = manager.blocking_client()
    client.start_channels()
    heard = []

    def listen(until, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = client.get_iopub_msg(timeout=seconds)
            assert message["msg_type"] not in ("stream", "error"), message["content"]
            heard.append(message)
            if until(message["msg_type"], message["content"]):
                return message["content"]
        raise AssertionError("waited in vain")

    def run(source, cell):
        content = {
            "code": source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        message = client.session.msg("execute_request", content, metadata={"cellId": cell})
        client.shell_channel.send(message)
        listen(
            lambda kind, content: (
                kind == "status"
                and content["execution_state"] == "idle"
                and heard[-1]["parent_header"]["msg_id"] == message["header"]["msg_id"]
            )
        )

    def opened():
        return [m["content"] for m in heard if m["msg_type"] == "comm_open" and "plan" in m["content"]["data"]["state"]]

    def tell(comm, subshell=None, **content):
        message = client.session.msg("comm_msg", {"comm_id": comm, "data": {"method": "custom", "content": content}})
        if subshell:
            message["header"]["subshell_id"] = subshell
        client.shell_channel.send(message)

    def news(kind, content, comm, **wanted):
        told = content["data"].get("content", {}) if kind == "comm_msg" and content["comm_id"] == comm else {}
        return told.get("type") == "news" and all(told[name] == value for name, value in wanted.items())

    try:
        client.wait_for_ready(timeout=60)
        run(CELL, "cell-1")
        first = opened()[-1]["comm_id"]
        tell(first, type="play", request="a")
        listen(lambda kind, content: news(kind, content, first, state="running") and content["data"]["content"]["rows"])
        run("earlier = live", "cell-2")
        run(CELL, "cell-1")
        second = opened()[-1]["comm_id"]
        assert second != first
        assert any(m["msg_type"] == "comm_close" and m["content"]["comm_id"] == first for m in heard)
        tell(second, type="play", request="b", steps=5)
        listen(lambda kind, content: news(kind, content, second, state="done", step=5))
        run("assert (earlier.state, live.state) == ('idle', 'done')", "cell-2")

        # A knob obeys while a cell runs, if the page sends to a subshell, as JupyterLab does.
        control = client.session.msg("create_subshell_request", {})
        client.control_channel.send(control)
        subshell = client.get_control_msg(timeout=60)["content"]["subshell_id"]
        tell(second, type="play", request="c", steps=1000)
        listen(lambda kind, content: news(kind, content, second, state="running"))
        client.shell_channel.send(
            client.session.msg(
                "execute_request",
                {
                    "code": "import time; time.sleep(10)",
                    "silent": False,
                    "store_history": False,
                    "user_expressions": {},
                    "allow_stdin": False,
                    "stop_on_error": True,
                },
            )
        )
        listen(lambda kind, content: kind == "execute_input")
        tell(second, subshell, type="pause", request="d")
        began = time.monotonic()
        listen(lambda kind, content: news(kind, content, second, state="paused"))
        assert time.monotonic() - began < 8
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
