"""FastAgency's own FastAPIProvider with MesopUI, driven by a human's clicks and keys in a real Chromium (FACE-12).

The page is served as FastAgency's documents say, by gunicorn. Its wake-up component, without which a page that waited for
a human for three seconds hears nothing more, is written with Lit and asks a CDN for it; here the browser is given the
same Lit from npm, and nothing else from outside.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

URL = os.environ["BASE_URL"]
HERE = Path(__file__).parent
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server")
LIT = "https://cdn.jsdelivr.net/gh/lit/dist@3/core/lit-core.min.js"
WITHIN_S = 30
READS_S = 4
"""How long the human reads a question: longer than the 3 seconds after which FastAgency breaks its stream."""


@contextmanager
def served() -> Generator[str]:
    """Serve FastAgency's page on a free loopback port and yield its address; its log is in `page.log`."""
    with socket.create_server(("127.0.0.1", 0)) as taken, (HERE / "page.log").open("w") as log:
        host, port = taken.getsockname()
        command = [sys.executable, "-m", "gunicorn", "--threads", "4", "--no-control-socket"]
        process = subprocess.Popen(
            [*command, "--bind", f"fd://{taken.fileno()}", "app:app"],
            cwd=HERE,
            pass_fds=[taken.fileno()],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield f"http://{host}:{port}"
        finally:
            # All of them at once: a worker whose conversation waits for a reply does not stop when it is asked to.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def lit() -> str:
    """Return what FastAgency's page asks the CDN for: Lit as one module."""
    command = [
        "node_modules/.bin/esbuild",
        "lit",
        "--bundle",
        "--minify",
        "--format=esm",
        "--log-level=error",
    ]
    return subprocess.run(
        command, cwd=HERE, check=True, capture_output=True, text=True, timeout=WITHIN_S
    ).stdout


class Human:
    """Somebody at FastAgency's page, who sees what is shown and has a mouse and a keyboard."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def see(self, text: str) -> None:
        """Wait until the page shows a text."""
        self._page.get_by_text(text).first.wait_for()

    def press(self, name: str) -> None:
        """Press a button: the last, as those of the questions before are still shown."""
        self._page.locator("button:enabled").get_by_text(name, exact=True).last.click()

    def begin(self, description: str) -> None:
        """Choose a workflow on the first page."""
        self.see(description)
        self.press(description)

    def read(self, prompt: str) -> None:
        """Read a question, for as long as humans do."""
        self.see(prompt)
        time.sleep(READS_S)

    def write(self, prompt: str, text: str) -> None:
        """Read a question and type a reply into its box; sending it is left to do."""
        self.read(prompt)
        self._page.locator("textarea:not([readonly])").click()
        self._page.keyboard.type(text, delay=30)

    def enter(self) -> None:
        """Press the Enter key."""
        self._page.keyboard.press("Enter")

    def tick(self, choice: str) -> None:
        """Tick a choice."""
        self._page.get_by_role("checkbox", name=choice, exact=True, disabled=False).check()

    def replies(self) -> list[str]:
        """Return what the page shows as written by the human."""
        return [box.input_value() for box in self._page.locator("textarea[readonly]").all()]


def completed(agent: str) -> str:
    """Return the output of the agent's newest run, which Landline must have as completed."""
    with urllib.request.urlopen(f"{URL}/api/v1/runs?agent={agent}", timeout=WITHIN_S) as found:
        newest = json.load(found)["items"][0]["id"]
    with urllib.request.urlopen(f"{URL}/api/v1/runs/{newest}", timeout=WITHIN_S) as answer:
        run = json.load(answer)
    assert run["status"] == "completed", run
    return str(run["output"])


def workflow(human: Human) -> None:
    """A workflow that asks for a text, a choice and several choices."""
    human.begin("A lesson that asks")
    human.see("Welcome to the lesson.")
    human.write("What is your question?", "Why is the sky blue?")
    human.press("send")
    human.read("Which grade?")
    human.press("good")
    human.read("Which subjects?")
    human.press("OK")
    human.read("That is not one of the choices.")
    human.tick("art")
    human.tick("law")
    human.press("OK")
    human.see("You asked: Why is the sky blue?")
    human.see("Workflow completed")
    assert human.replies() == ["Why is the sky blue?"], human.replies()
    assert completed("lesson") == "Why is the sky blue? | good | art,law", completed("lesson")


def plain(human: Human) -> None:
    """An agent that is no workflow: asked for the first words, and asking for a name; replies are sent with Enter."""
    human.begin("Answers without a model, the same in every framework.")
    human.write("What is your message?", "please ask")
    human.enter()
    human.write("What is your name?", "Grace")
    human.enter()
    human.see("Hello, Grace.")
    human.see("Workflow completed")
    assert human.replies() == ["please ask", "Grace"], human.replies()
    assert completed("fixture_plain") == "Hello, Grace."


def approval(human: Human) -> None:
    """A tool that wants a human's word."""
    human.begin("Erase what the message names, if a human agrees.")
    human.write("What is your message?", "everything")
    human.press("send")
    human.read("erase(")
    human.press("Approve")
    human.see("Erased everything.")
    human.see("Workflow completed")
    assert completed("eraser") == "Erased everything."


@contextmanager
def opened(url: str) -> Generator[Any]:
    """Open the page in a browser; what it shows at the end is kept in `page.png`, and told when something did not hold."""
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        raise SystemExit(f"MesopUI needs a Chromium on PATH, one of: {', '.join(CHROMIUMS)}")
    module = lit()

    def asked(route: Any) -> None:
        if route.request.url.startswith(f"{url}/"):
            route.continue_()
        elif route.request.url == LIT:
            allowed = {"access-control-allow-origin": "*"}
            route.fulfill(body=module, content_type="text/javascript", headers=allowed)
        else:
            route.abort()  # fonts

    with import_module("playwright.sync_api").sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1000, "height": 1600})
        page.set_default_timeout(WITHIN_S * 1000)
        page.route("**/*", asked)
        page.goto(url)
        try:
            yield page
        except BaseException:  # whatever broke it, what the page showed helps whoever looks for it
            print(
                f"MesopUI showed, also in {HERE / 'page.png'}:\n\n{page.inner_text('body')}\n",
                file=sys.stderr,
            )
            raise
        finally:
            page.screenshot(path=HERE / "page.png")
            browser.close()


def check() -> int:
    """Drive agents of Landline at BASE_URL and return how much held; raises when something did not."""
    conversations = (workflow, approval, plain)
    with served() as url, opened(url) as page:
        human = Human(page)
        for number, conversation in enumerate(conversations):
            if number:
                human.press("rate_review")  # begins a new one, once the one before has completed
            conversation(human)
    return len(conversations)
