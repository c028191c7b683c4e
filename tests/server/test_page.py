"""The page in Chromium against the real server, with files as the browser's microphone and camera."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import jiwer
import numpy as np
import pysubs2
import pytest
from browser import ALLOWED, DENIED, DEVICES, chromium, devices, launched
from playwright.sync_api import Browser, Download, Page, expect
from running_server import SAMPLES, RunningServer

import transducer
from transducer.formats.words.document import parse_json

FOLDER = Path(transducer.__file__).parent / "server" / "page"
SPOKEN = (
    "the boat leaves the island at seven in the morning please bring a warm coat because the wind on the water is cold"
)
SHOTS = [(57, "cut"), (107, "dissolve"), (172, "cut"), (214, "fade"), (283, "wipe")]
FIRST_SHOTS = 100  # frames of shots.mp4: two shots, with a cut behind frame 57
PATIENCE = 60_000  # milliseconds; only a broken page needs them


def pictures(count: int = FIRST_SHOTS) -> list[np.ndarray]:
    with av.open(str(SAMPLES / "shots.mp4")) as clip:
        return [
            frame.to_ndarray(format="yuv420p") for frame, _ in zip(clip.decode(video=0), range(count), strict=False)
        ]


@pytest.fixture(scope="module")
def camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first shots as YUV4MPEG2, which Chromium plays at its own rate, again and again."""
    path = tmp_path_factory.mktemp("camera") / "shots.y4m"
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W320 H180 F25:1 Ip A1:1 C420jpeg\n")
        for picture in pictures():
            file.write(b"FRAME\n" + picture.tobytes())
    return path


@pytest.fixture(scope="module")
def browser(camera_file: Path) -> Iterator[Browser]:
    with chromium(devices(SAMPLES / "island.wav", camera_file)) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: RunningServer) -> Iterator[Page]:
    """The page; nothing may go wrong in it, the policy of its content included."""
    context = browser.new_context(viewport={"width": 1100, "height": 760}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(server.http)
    yield page
    context.close()
    assert wrong == []


def words(page: Page, selector: str) -> str:
    return " ".join(page.locator(f"{selector} .word").all_inner_texts())


def saved(page: Page, panel: str, format: str) -> tuple[Download, str]:
    with page.expect_download() as waiting:
        page.click(f"#{panel}-actions [data-format={format}]")
    return waiting.value, Path(waiting.value.path()).read_text()


def read_file(page: Page, name: str) -> None:
    page.click("#file-tab")
    page.set_input_files("#choose", SAMPLES / name)
    expect(page.locator("#file-status")).to_contain_text("Done", timeout=PATIENCE)


def test_captions_have_the_words_that_the_microphone_hears(page: Page) -> None:
    page.click("#microphone")
    expect(page.locator("#live-status")).to_have_text("Listening.", timeout=PATIENCE)
    expect(page.locator("#partial")).to_contain_text("the boat", timeout=PATIENCE)
    assert page.locator("#level").get_attribute("value") is not None
    page.wait_for_timeout(7200)  # the recording lasts 7.75 seconds, and some of it has been heard
    page.click("#microphone")
    expect(page.locator("#microphone")).to_have_text("Start microphone", timeout=PATIENCE)
    heard = words(page, "#captions")
    assert jiwer.wer(SPOKEN, heard) < 0.3, heard
    assert "the island at seven in the morning" in heard
    expect(page.locator("#partial")).to_be_empty()

    download, text = saved(page, "live", "json")
    assert download.suggested_filename == "microphone.json"
    transcript = parse_json(text)
    assert transcript.text == heard
    assert transcript.duration > 7
    assert transcript.words[0].start < 2 and 5 < transcript.words[-1].end < transcript.duration + 0.5
    _, text = saved(page, "live", "vtt")
    assert " ".join(cue.plaintext for cue in pysubs2.SSAFile.from_string(text, "vtt")).split() == heard.split()


def test_a_label_shows_at_the_cut(page: Page) -> None:
    page.click("#camera")
    first = page.locator("#labels li").first
    expect(first.locator(".name")).to_have_text("cut", timeout=PATIENCE)
    shown = page.evaluate(
        """() => {
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [320, 180];
            const context = canvas.getContext('2d');
            context.drawImage(document.querySelector('#labels img'), 0, 0);
            return [...context.getImageData(0, 0, 320, 180).data];
        }"""
    )
    page.click("#camera")
    expect(page.locator("#camera")).to_have_text("Start camera", timeout=PATIENCE)
    # The picture beside the label is the first of the new shot, be it the second one or the first one again.
    picture = np.reshape(shown, (180, 320, 4))[:, :, :3]
    sources = [cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420) for frame in pictures()]
    distances = [np.abs(picture - source).mean() for source in sources]
    nearest = int(np.argmin(distances))
    assert min(distances) < 8
    assert nearest in (*range(58, 62), *range(4)), nearest


def test_a_transcript_plays_along(page: Page) -> None:
    read_file(page, "island.wav")
    expect(page.locator("#file-status")).to_have_text(re.compile(r"Done: \d+ words\."))
    assert jiwer.wer(SPOKEN, words(page, "#transcript")) < 0.3
    assert page.locator("#shots").is_hidden() and page.locator("#reading").is_hidden()

    word = page.locator("#transcript .word", has_text="seven")
    _, text = saved(page, "file", "json")
    start = next(word.start for word in parse_json(text).words if word.text == "seven")
    # On a busy machine a word is over before it is looked at: the page notes which are lit.
    page.evaluate(
        """() => {
            window.lit = [];
            new MutationObserver((changes) => {
                lit.push(...changes.map((change) => change.target).filter((word) => word.classList.contains("lit"))
                    .map((word) => word.textContent));
            }).observe(document.getElementById("transcript"), { subtree: true, attributeFilter: ["class"] });
            const player = document.getElementById("player");
            player.addEventListener("seeking", () => { window.sought = player.currentTime; }, { once: true });
        }"""
    )
    word.click()
    for _ in range(PATIENCE // 100):
        if {"seven", "morning"} <= set(page.evaluate("lit")):  # it plays
            break
        page.wait_for_timeout(100)
    else:
        pytest.fail(f"lit were {page.evaluate('lit')}")
    assert start - 0.01 <= page.evaluate("sought") < start + 0.5
    page.evaluate("document.getElementById('player').pause()")
    page.evaluate("document.getElementById('player').currentTime = 0")
    expect(page.locator("#transcript .word.lit", has_text="morning")).to_have_count(0)


def test_words_are_reached_with_keys(page: Page) -> None:
    read_file(page, "island.wav")
    transcript = page.locator("#transcript")
    assert transcript.locator("[tabindex='0']").count() == 1  # one stop for the tab key
    transcript.locator(".word").first.focus()
    focused = page.locator(":focus")
    for key, text in (("ArrowRight", "boat"), ("ArrowRight", "leaves"), ("ArrowLeft", "boat"), ("Home", "the")):
        page.keyboard.press(key)
        expect(focused).to_have_text(text)
    page.keyboard.press("ArrowDown")
    expect(focused).to_have_text("please")
    page.keyboard.press("Enter")
    assert page.evaluate("document.getElementById('player').currentTime") > 3
    page.keyboard.press("ArrowUp")
    expect(focused).to_have_text("the")
    page.keyboard.press("End")
    expect(focused).to_have_text(transcript.locator(".word").last.inner_text())


def test_a_video_has_its_labels_on_a_timeline(page: Page) -> None:
    read_file(page, "shots.mp4")
    expect(page.locator("#file-status")).to_contain_text("5 labels")
    _, text = saved(page, "file", "json")
    events = json.loads(text)["events"]
    assert [(event["start_frame"], event["label"]) for event in events] == SHOTS
    assert [page.locator("#shot-list .name").nth(k).inner_text() for k in range(5)] == [label for _, label in SHOTS]
    lefts = page.evaluate("[...document.querySelectorAll('#strip .mark')].map((mark) => parseFloat(mark.style.left))")
    duration = page.evaluate("document.getElementById('player').duration")
    assert lefts == pytest.approx([100 * event["start"] / duration for event in events], abs=0.01)
    page.locator("#shot-list button").nth(2).click()
    assert page.evaluate("document.getElementById('player').currentTime") >= events[2]["start"] - 0.01
    page.locator("#strip").click(position={"x": 1, "y": 5})
    assert page.evaluate("document.getElementById('player').currentTime") < 1

    heard = words(page, "#transcript")
    assert "nobody knew who had left the window open" in heard
    for format in ("srt", "vtt"):
        download, text = saved(page, "file", format)
        assert download.suggested_filename == f"shots.{format}"
        cues = pysubs2.SSAFile.from_string(text, format)
        assert " ".join(cue.plaintext for cue in cues).split() == heard.split()
    _, text = saved(page, "file", "txt")
    assert text.split() == heard.split() and text.count("\n") == page.locator("#transcript p").count()


def test_a_file_may_be_dropped_anywhere(page: Page) -> None:
    data = (SAMPLES / "letters.opus").read_bytes()
    page.evaluate(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([Uint8Array.from(bytes)], 'letters.opus'));
            document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true }));
        }""",
        list(data),
    )
    expect(page.locator("#file-status")).to_contain_text("Done", timeout=PATIENCE)
    assert "who had left the window open" in words(page, "#transcript")
    assert page.locator("#file-tab").get_attribute("aria-selected") == "true"


def test_settings_reach_the_server(page: Page) -> None:
    page.click("summary")
    page.check("[name=punctuate]")
    page.fill("#hotwords", "Kyoto, old mill")
    page.select_option("#chunk", "1280")
    hellos: list[Any] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda data: hellos.append(data)))
    read_file(page, "letters.opus")
    hello = json.loads(hellos[0])
    assert hello["options"] == {"chunk_ms": 1280, "hotwords": ["Kyoto", "old mill"], "punctuate": True}
    assert words(page, "#transcript").startswith("The")


def test_a_file_that_is_no_media_is_told(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "letter.mp3"
    path.write_bytes(b"Dear Sir or Madam, " * 1000)
    page.click("#file-tab")
    page.set_input_files("#choose", path)
    expect(page.locator("#file-problem")).not_to_be_empty(timeout=PATIENCE)
    expect(page.locator("#file-problem")).to_have_text("The file: is text, not sound or video; name a media file.")
    assert page.locator("#reading").is_hidden()
    read_file(page, "letters.opus")  # and the page goes on
    expect(page.locator("#file-problem")).to_be_empty()


def device_problem(browser: Browser, server: RunningServer, arguments: list[str], button: str) -> str:
    with launched(browser.browser_type, arguments) as other:
        page = other.new_page()
        page.goto(server.http)
        page.click(f"#{button}")
        expect(page.locator("#live-problem")).not_to_be_empty(timeout=PATIENCE)
        expect(page.locator(f"#{button}")).to_have_text(f"Start {button}")
        return page.locator("#live-problem").inner_text()


def test_a_microphone_that_is_unplugged_is_told(page: Page) -> None:
    page.evaluate(
        """() => {
            const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async (wanted) => (window.opened = await open(wanted));
        }"""
    )
    page.click("#microphone")
    expect(page.locator("#partial")).to_contain_text("island", timeout=PATIENCE)
    page.evaluate("opened.getTracks()[0].dispatchEvent(new Event('ended'))")
    expect(page.locator("#live-problem")).to_have_text("The microphone was disconnected.")
    expect(page.locator("#microphone")).to_have_text("Start microphone", timeout=PATIENCE)
    assert "island" in words(page, "#captions")  # what was heard until then is final


@pytest.mark.parametrize("button", ["microphone", "camera"])
def test_a_device_that_is_not_allowed_is_told(browser: Browser, server: RunningServer, button: str) -> None:
    problem = device_problem(browser, server, [DEVICES, DENIED], button)
    assert problem.startswith(f"This page may not use the {button}.")


def test_a_missing_camera_is_told(browser: Browser, server: RunningServer) -> None:
    assert device_problem(browser, server, [ALLOWED], "camera") == "There is no camera. Connect one and start again."


GUARDED = ("--workers", "1", "--model", "speech-en", "--token", "open+sesame&1")
WITH_TOKEN = "#token=open%2Bsesame%261"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with a token; the last of its tests kills it."""
    running = RunningServer(*GUARDED, errors=tmp_path_factory.mktemp("guarded") / "errors.txt")
    yield running
    running.stop()


def test_a_token_is_asked_for_and_kept(browser: Browser, guarded: RunningServer) -> None:
    page = browser.new_page()
    page.goto(guarded.http)
    form, problem = page.locator("#token-form"), page.locator("#token-problem")
    expect(form).to_be_visible(timeout=PATIENCE)
    expect(problem).to_have_text("The server needs a token.")
    expect(page.locator("#token")).to_be_focused()
    for wrong in ("wrong", "ключ"):
        page.keyboard.type(wrong)
        page.keyboard.press("Enter")
        expect(problem).to_have_text("This token is not the right one.")
    page.keyboard.type(" open+sesame&1")
    page.keyboard.press("Enter")
    expect(form).to_be_hidden()
    read_file(page, "letters.opus")
    page.reload()
    expect(page.locator("#server")).to_have_text("speech-en", timeout=PATIENCE)
    expect(form).to_be_hidden()
    page.close()


def test_a_token_may_come_with_the_address(browser: Browser, guarded: RunningServer) -> None:
    page = browser.new_page()
    page.goto(f"{guarded.http}/{WITH_TOKEN}")
    expect(page.locator("#server")).to_have_text("speech-en", timeout=PATIENCE)
    expect(page.locator("#token-form")).to_be_hidden()
    assert "sesame" not in page.url
    page.close()


def test_captions_go_on_when_the_server_comes_back(browser: Browser, guarded: RunningServer, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(f"{guarded.http}/{WITH_TOKEN}")
    page.click("#microphone")
    expect(page.locator("#partial")).to_contain_text("the boat", timeout=PATIENCE)
    guarded.process.kill()
    guarded.process.wait()
    expect(page.locator("#live-status")).to_contain_text("The server cannot be reached. Trying again", timeout=PATIENCE)
    second = RunningServer(*GUARDED, "--port", str(guarded.port), errors=tmp_path / "errors.txt")
    try:
        # What the first server had not made final is heard again.
        expect(page.locator("#captions")).to_contain_text(re.compile("wind|water"), timeout=PATIENCE)
        page.click("#microphone")
        expect(page.locator("#microphone")).to_have_text("Start microphone", timeout=PATIENCE)
        assert jiwer.wer(SPOKEN, words(page, "#captions")) < 0.3, words(page, "#captions")
    finally:
        page.close()
        second.stop()


def test_the_order_of_the_tab_key(page: Page) -> None:
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.tagName.toLowerCase()"))
    assert order[:5] == ["a", "live-tab", "summary", "microphone", "camera"]
    page.locator("#live-tab").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#file-tab")).to_be_focused()
    expect(page.locator("#file")).to_be_visible()
    expect(page.locator("#live")).to_be_hidden()


def test_screen_readers_find_their_way(page: Page) -> None:
    for role in ("banner", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
    # Finals are announced, partials are not.
    assert page.locator("#captions").get_attribute("aria-live") == "polite"
    assert page.locator("#partial").get_attribute("aria-live") == "off"
    assert page.locator("[role=alert]").count() == 3 and page.locator("[role=status]").count() == 3
    read_file(page, "shots.mp4")
    page.click("summary")
    page.evaluate("document.getElementById('token-form').hidden = false")
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    properties = [(node, {p["name"]: p["value"].get("value") for p in node.get("properties", [])}) for node in nodes]
    focusable = [
        node for node, found in properties if found.get("focusable") and node["role"]["value"] != "RootWebArea"
    ]
    nameless = [
        node["role"]["value"]
        for node in focusable
        if not node.get("name", {}).get("value") and node["role"]["value"] not in ("main", "generic")
    ]
    assert len(focusable) > 20
    assert nameless == []


CONTRAST = """() => {
    const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.tagName === 'OPTION') continue;
        let behind = element;
        const back = () => numbers(getComputedStyle(behind).backgroundColor);
        while ((back()[3] ?? 1) === 0) behind = behind.parentElement;
        const pair = [light(numbers(getComputedStyle(element).color)), light(back())].sort((a, b) => b - a);
        found.push([(pair[0] + 0.05) / (pair[1] + 0.05), walker.currentNode.data.trim()]);
    }
    return found.sort((a, b) => a[0] - b[0]);
}"""


def test_text_stands_out(page: Page) -> None:
    read_file(page, "shots.mp4")
    page.click("summary")
    page.evaluate("for (const p of document.querySelectorAll('.problem')) p.textContent = 'A problem.'")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        contrasts = page.evaluate(CONTRAST)
        assert len(contrasts) > 50
        assert contrasts[0][0] >= 4.5, contrasts[:3]  # WCAG 2.2, success criterion 1.4.3


def test_narrow_screens_do_not_scroll_sideways(page: Page) -> None:
    read_file(page, "shots.mp4")
    page.click("summary")
    for width in (320, 390, 768):
        page.set_viewport_size({"width": width, "height": 700})
        for tab in ("live", "file"):
            page.click(f"#{tab}-tab")
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_comes_from_elsewhere() -> None:
    """The page works offline, and under a policy that forbids scripts and styles inside it."""
    for path in FOLDER.iterdir():
        text = path.read_text()
        assert set(re.findall(r"\bhttps?://[^\s'\"`)]*", text)) <= {
            "https://",
            "http://localhost",
            "http://www.w3.org/2000/svg",
        }
    index = (FOLDER / "index.html").read_text()
    assert not re.search(r"\s(style|on\w+)=|<style", index)
    assert re.findall(r"<script[^>]*>(.*?)</script>", index, re.DOTALL) == [""]
