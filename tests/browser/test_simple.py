"""The plain page at /simple in a real browser: it streams, asks, comes back by itself, and shows words as words."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.browser.agents import HOSTILE, WORDS
from tests.browser.conftest import Open, Start

AGENTS = Path(__file__).with_name("agents.py")
SPOKEN = "".join(f"word{number} " for number in range(WORDS))
PHONE = {"viewport": {"width": 375, "height": 667}, "device_scale_factor": 2, "has_touch": True}


@pytest.mark.contract("UI-8", "CLI-5")
async def test_a_reply_grows_on_the_page_before_the_run_ends(start: Start, tab: Open) -> None:
    page = await tab(await start(AGENTS))
    await page.say("go")
    message = await page.see(".assistant", "word3 ")
    early = await message.inner_text()
    assert len(early) < len(SPOKEN) / 2
    (run,) = await page.server.items("/runs?limit=50")
    assert run["status"] == "running"
    await page.see(".assistant", f"word{WORDS - 1}")
    await page.idle()
    assert await message.text_content() == SPOKEN
    assert await page.page.locator(".message").count() == 2


@pytest.mark.contract("UI-8", "CLI-5")
async def test_a_note_is_made_and_its_deletion_denied_and_approved(start: Start, tab: Open) -> None:
    """The card names the tool and its arguments; the decision and what came of it stay on the page."""
    page = await tab(await start())
    await page.see("#log", "offline script (not a language model)")
    await page.picture("start")
    await page.say("create a note titled Milk: two bottles")
    card = await page.see("details.tool", "create_note is done")
    await page.see(".assistant", "Created note [1] Milk.")
    await card.locator("summary").click()
    assert "two bottles" in await card.inner_text()
    await page.idle()

    await page.say("delete note 1")
    question = await page.see(".question", "delete_note")
    assert '"note_id": 1' in await question.inner_text()
    await page.picture("approval")
    await question.get_by_placeholder("Why not").fill("still thirsty")
    await question.get_by_role("button", name="Deny").click()
    await page.see(".assistant", "still thirsty")
    await page.idle()

    await page.say("delete note 1")
    question = page.page.locator(".question:not(.settled)")
    await question.get_by_role("button", name="Approve").click()
    await page.see(".assistant", "Deleted note [1].")
    await page.idle()
    assert await page.page.locator(".question form").count() == 0
    await page.picture("notes")
    await page.say("list my notes")
    await page.see(".assistant", "No notes found")


@pytest.mark.contract("UI-8")
async def test_enter_meant_for_the_text_approves_nothing(start: Start, tab: Open) -> None:
    page = await tab(await start())
    await page.say("create a note titled Milk: two bottles")
    await page.see(".assistant", "Created")
    await page.idle()
    await page.say("delete note 1")
    await page.see(".question", "delete_note")
    await page.page.keyboard.press("Enter")
    await page.page.keyboard.press("Enter")
    (run,) = [run for run in await page.server.items("/runs?limit=50") if run["status"] == "waiting"]
    assert len(run["questions"]) == 1


@pytest.mark.contract("UI-8", "CLI-5")
async def test_structured_output_grows_and_is_shown_once(start: Start, tab: Open) -> None:
    page = await tab(await start())
    await page.choose("bank_support")
    await page.say("I lost my card")
    box = await page.see(".output", "support_advice")
    early = await box.inner_text()
    await page.see(".output", "Activate the new card when it comes")
    await page.idle()
    assert len(early) < len(await box.inner_text())
    assert (await page.shown()).count("support_advice") == 1
    await page.picture("output")


@pytest.mark.contract("UI-8", "CLI-5")
async def test_a_question_is_answered_with_the_keyboard_alone(start: Start, tab: Open) -> None:
    page = await tab(await start())
    await page.choose("student_teacher")
    await page.say("teach me fractions")
    await page.see(".question", "What should the student ask")
    await page.picture("question")
    await page.page.keyboard.type("What is a half?")
    await page.page.keyboard.press("Enter")
    await page.see(".assistant", "Student:** What is a half?")
    await page.see(".assistant", "Thank you!")
    await page.idle()
    assert (await page.shown()).count("Welcome to our lesson") == 1
    await page.picture("lesson")


@pytest.mark.contract("UI-8", "EVT-4")
async def test_the_page_comes_back_by_itself_when_the_server_is_killed_in_mid_answer(
    start: Start, tab: Open
) -> None:
    """The whole text stands there once, whatever the crash took back."""
    page = await tab(await start(AGENTS))
    await page.say("go")
    await page.see(".assistant", "word9 ")
    page.server.process.kill()
    await page.see("#state", "coming back")
    await page.picture("cut")
    await page.server.start()
    await page.see(".assistant", f"word{WORDS - 1}")
    await page.idle()
    texts = [text for text in await page.page.locator(".assistant:not(.cut)").all_text_contents() if text]
    assert texts == [SPOKEN]
    assert await page.page.text_content("#state") == ""


@pytest.mark.contract("UI-8", "EVT-4", "CLI-5")
async def test_a_message_that_a_crash_took_back_is_written_anew_and_not_doubled(
    start: Start, tab: Open
) -> None:
    """A language model says its answer again from the start; the cut one leaves the page."""
    page = await tab(await start())
    await page.say("help")
    await page.see(".assistant", "I understand only")
    page.server.process.kill()
    await page.see("#state", "coming back")
    await page.server.start()
    await page.see(".assistant", "a real model does this.")
    await page.idle()
    (run,) = await page.server.items("/runs?limit=50")
    assert run["status"] == "completed"
    texts = [text for text in await page.page.locator(".assistant:not(.cut)").all_text_contents() if text]
    assert texts == [run["output"]]


@pytest.mark.contract("UI-8")
async def test_who_has_scrolled_up_stays_there_while_the_answer_grows(start: Start, tab: Open) -> None:
    page = await tab(await start(AGENTS), viewport={"width": 375, "height": 320})
    await page.say("go")
    await page.see(".assistant", "word30 ")
    assert await page.page.evaluate("log.scrollTop") > 0, "it follows"
    await page.page.evaluate("log.scrollTop = 0")
    await page.see(".assistant", f"word{WORDS - 1}")
    assert await page.page.evaluate("log.scrollTop") == 0


@pytest.mark.contract("UI-8")
async def test_enter_sends_and_shift_enter_makes_a_line(start: Start, tab: Open) -> None:
    page = await tab(await start())
    await page.page.focus("#text")
    await page.page.keyboard.type("one")
    await page.page.keyboard.press("Shift+Enter")
    await page.page.keyboard.type("two")
    assert await page.page.input_value("#text") == "one\ntwo"
    assert await page.page.locator(".message").count() == 0
    await page.page.keyboard.press("Enter")
    message = await page.see(".user", "one")
    assert await message.text_content() == "one\ntwo"
    assert await page.page.input_value("#text") == ""


@pytest.mark.contract("UI-8")
async def test_a_run_is_stopped_and_the_thread_goes_on(start: Start, tab: Open) -> None:
    page = await tab(await start(AGENTS))
    await page.say("go")
    await page.see(".assistant", "word3 ")
    await page.page.click("#stop")
    await page.see("#state", "Stopped")
    await page.idle()
    await page.say("again")
    await page.page.locator(".assistant").nth(1).wait_for()
    assert len({run["thread_id"] for run in await page.server.items("/runs?limit=50")}) == 1


@pytest.mark.contract("UI-8", "EVT-8")
async def test_a_failure_is_said_and_the_page_goes_on(start: Start, tab: Open) -> None:
    page = await tab(await start(AGENTS))
    await page.choose("failing")
    await page.say("go")
    await page.see(".problem", "fail")
    await page.idle()
    assert "secret internals" not in await page.shown()
    await page.picture("failure")


@pytest.mark.contract("UI-8")
async def test_hostile_words_are_shown_and_do_nothing(start: Start, tab: Open) -> None:
    """In the title, a starter, a message, a tool's name, arguments and result, a question, a choice and an output."""
    page = await tab(await start(AGENTS))
    await page.choose("hostile")
    await page.page.locator("#starters button").click()
    await page.see(".user", "<img src=x")
    question = await page.see(".question", "<script>")
    for summary in await page.page.locator("details summary").all():
        await summary.click()
    await page.picture("hostile")
    await question.locator("button").first.click()
    await page.see(".output", "<img src=x")
    await page.idle()
    assert (await page.shown()).count("<script>window.hacked=1</script>") >= 6
    assert await page.page.evaluate("window.hacked") is None
    made = await page.page.evaluate(
        "document.querySelectorAll('#log :is(img,script,svg,iframe,style,a)').length"
    )
    assert made == 0
    paths = {url.removeprefix(page.server.process.url).split("?")[0] for url in page.requests}
    strange = {path for path in paths if not path.startswith(("/api/v1/", "/simple", "data:"))}
    assert strange == set()
    assert HOSTILE in [await box.text_content() for box in await page.page.locator(".message").all()]


@pytest.mark.contract("UI-8")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_phone_needs_no_sideways_scrolling(start: Start, tab: Open, scheme: str) -> None:
    page = await tab(await start(AGENTS), **PHONE, color_scheme=scheme)
    assert await page.overflow() == 0
    await page.choose("wide")
    await page.say("y" * 500)
    await page.see("details.tool", "is done")
    await page.idle()
    await page.page.locator("summary").click()
    assert await page.overflow() == 0
    await page.choose("hostile")
    await page.say("go")
    await page.see(".question", "<img")
    assert await page.overflow() == 0
    await page.picture(f"phone-wide-{scheme}")


@pytest.mark.contract("UI-8")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_follows_the_scheme_and_stays_readable(start: Start, tab: Open, scheme: str) -> None:
    """Text on its background keeps a contrast of 4.5, on a phone too."""
    page = await tab(await start(), **PHONE, color_scheme=scheme)
    await page.picture(f"phone-start-{scheme}")
    await page.say("create a note titled Milk: two bottles")
    await page.see(".assistant", "Created")
    await page.idle()
    await page.say("delete note 1")
    await page.see(".question", "delete_note")
    await page.picture(f"phone-approval-{scheme}")
    light = float(await page.page.evaluate(CONTRAST.replace("RETURN", "luminance(backdrop(document.body))")))
    assert (light > 0.5) == (scheme == "light")
    worst = await page.page.evaluate(CONTRAST.replace("RETURN", "worst()"))
    assert worst[0] >= 4.5, worst
    assert await page.overflow() == 0


CONTRAST = """() => {
  const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const rgb = (color) => color.match(/[\\d.]+/g).map(Number);
  const weigh = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const backdrop = (e) => {
    for (; e; e = e.parentElement) {
      const color = rgb(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] > 0.99) return color;
    }
    return [255, 255, 255];
  };
  const luminance = weigh;
  const worst = () => {
    let found = [99, ""];
    for (const e of document.querySelectorAll("body *")) {
      const words = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
      if (!words || !e.checkVisibility() || e.closest(":disabled, option, noscript, .unseen")) continue;
      const [a, b] = [weigh(rgb(getComputedStyle(e).color)), weigh(backdrop(e))].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < found[0]) found = [ratio, e.outerHTML.slice(0, 80)];
    }
    return found;
  };
  return RETURN;
}"""


@pytest.mark.contract("UI-8")
async def test_a_new_tab_of_a_locked_server_asks_for_the_key(start: Start, tab: Open) -> None:
    """The key goes with each request, and is kept nowhere but in the tab."""
    server = await start(AGENTS)
    words = ("-m", "landline.cli.main", "keys", "create", "--user", "ann", "--data", str(server.process.data))
    made = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
    key = (await made.communicate())[0].decode().split()[-1]
    await server.restart()
    page = await tab(server, "/docs")
    await page.page.goto(server.process.url + "/simple")
    await page.see("#key-form", "API key")
    await page.page.fill("#key", key)
    await page.page.keyboard.press("Enter")
    await page.page.wait_for_selector("#agent option", state="attached")
    await page.say("go")
    await page.see(".assistant", f"word{WORDS - 1}")
    assert (
        await page.page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
    )
    page.complaints[:] = [text for text in page.complaints if "401" not in text]
