import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

import lucidbox
from lucidbox.model_files import bundled

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is absent: pip install playwright")

pytestmark = [pytest.mark.browser, pytest.mark.extended]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
STREET, RIDER, KITCHEN = (EXAMPLES / f"{name}.jpg" for name in ("street", "rider", "kitchen"))
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
SECONDS = 60_000  # a busy machine may need them


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a server with the bundled model under two names."""
    models = [part for name in ("one", "two") for part in ("--weights", f"{name}={bundled.ONNX}")]
    command = [sys.executable, "-m", "lucidbox", "serve", "--port", "0", "--quiet", *models]
    source = str(Path(lucidbox.__file__).parents[1])
    with (tmp_path_factory.mktemp("serve") / "words").open("w+") as words:
        server = subprocess.Popen(command, stderr=words, env={**os.environ, "PYTHONPATH": source})
        try:
            yield _address_in(words, server)
        finally:
            server.terminate()
            server.wait(60)


def _address_in(words, server):
    while server.poll() is None:
        words.seek(0)
        if found := re.search(r"http://\S+", words.read()):
            return found[0]
        time.sleep(0.05)
    words.seek(0)
    return pytest.fail(f"the server ended: {words.read()}")


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-dev-shm-usage"]
    flags += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, address):
    """Function that opens the page; at the end there must have been no error, and no request to another host."""
    contexts, troubles, asked = [], [], []

    def opened(viewport=WIDE, before=lambda page: None, **options):
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(int(os.environ.get("PAGE_MS", SECONDS)))
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.expected_troubles = troubles
        page.asked = asked
        before(page)
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []
    assert {url for url in asked if not url.startswith((address, "blob:", "data:"))} == set()


@pytest.fixture
def page(visit):
    """The page with the street."""
    return with_pictures(visit(), STREET)


def with_pictures(page, *files):
    page.locator("#examples button").first.wait_for()
    page.set_input_files("#files", files)
    page.locator(".box").first.wait_for(state="attached")
    return page


def count(page):
    return int(page.inner_text("#count"))


def until(page, expression, arg=None):
    """Wait until it is true. Playwright's own waiting evaluates text in the page, which its policy forbids."""
    for _ in range(SECONDS // 50):
        if page.evaluate(expression, arg):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never so: {expression}")


def set_confidence(page, value):
    page.locator("#conf").fill(str(value))


def in_json(page, address, file, conf=None):
    """What the server finds; without ``conf`` above the model's own threshold, with which the page begins."""
    query = "" if conf is None else f"?conf={conf}"
    answer = page.request.post(f"{address}v1/detect{query}", data=file.read_bytes(), timeout=SECONDS)
    return answer.json()["detections"]


def drop(page, *files):
    contents = [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
    page.evaluate(
        """contents => {
            const transfer = new DataTransfer();
            for (const [name, content] of contents) {
                const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
            }
            const event = { dataTransfer: transfer, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new DragEvent("drop", event));
        }""",
        contents,
    )


def test_dropped_pictures_get_the_boxes_of_the_json_at_the_right_pixels(visit, address):
    page = visit()
    page.locator("#examples button").first.wait_for()
    drop(page, STREET, RIDER)
    page.locator(".box").first.wait_for(state="attached")
    set_confidence(page, 0.25)
    expected = in_json(page, address, STREET, 0.25)
    for zoom in ("", "#zoom-in"):
        if zoom:
            page.click(zoom)
        sheet = page.locator(".sheet").bounding_box()
        assert sheet["width"] / sheet["height"] == pytest.approx(640 / 428, rel=1e-3)
        scale = sheet["width"] / 640
        for found in expected:
            left, top, right, bottom = found["box"]
            size = f"{round(right - left)} × {round(bottom - top)} pixels"
            label = f"{found['label']}, score {found['score']:.2f}, {size}"
            box = page.get_by_role("button", name=label, exact=True).locator(".line")
            sides = [float(box.get_attribute(name)) for name in ("x", "y", "width", "height")]
            assert sides == pytest.approx([left, top, right - left, bottom - top], abs=0.01)
            seen = box.evaluate(
                "node => { const r = node.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom] }"
            )
            corner = [sheet["x"], sheet["y"]] * 2
            assert seen == pytest.approx(
                [c + scale * side for c, side in zip(corner, found["box"], strict=True)], abs=1
            )
    assert count(page) == len(expected)
    assert page.locator("#strip li").count() == 2


def test_the_slider_and_the_classes_filter_without_a_request(page, address):
    expected = {conf: len(in_json(page, address, STREET, conf)) for conf in (0.01, 0.2, 0.5, 0.9)}
    assert len(set(expected.values())) > 2
    before = len(page.asked)
    for conf, number in expected.items():
        set_confidence(page, conf)
        assert count(page) == number == page.locator(".box").count()
    set_confidence(page, 0.2)
    chip = page.locator(".chip", has_text="person")
    people = int(chip.locator(".number").inner_text())
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    assert count(page) == expected[0.2] - people
    chip.click()
    assert count(page) == expected[0.2]
    assert [url for url in page.asked[before:] if "/v1/" in url] == []


def test_a_box_says_what_it_is_and_why(page):
    box = page.locator(".box").last
    box.hover(position={"x": 4, "y": 60})
    assert page.locator(".tip").inner_text() == box.get_attribute("aria-label")
    box.click(position={"x": 4, "y": 60})
    page.locator("#reasons .verdict").wait_for()
    assert page.locator("#reasons h2").inner_text() == f"Why this {box.get_attribute('aria-label').split(',')[0]}?"
    assert "heat in the box" in page.inner_text("#reasons .table")
    levels = page.evaluate(
        """() => {
            const canvas = document.querySelector(".heat");
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            const levels = new Set(pixels.filter((_, at) => at % 4 === 0));
            return [canvas.width, canvas.height, canvas.hidden, levels.size];
        }"""
    )
    assert levels[:3] == [640, 428, False]
    assert levels[3] > 20
    page.keyboard.press("h")
    assert page.locator(".heat").is_hidden()
    page.get_by_role("button", name="Close the reasons").click()
    assert page.locator("#reasons").is_hidden()


def test_a_rectangle_asks_why_nothing_was_found_there(page):
    sheet = page.locator(".sheet").bounding_box()
    page.mouse.move(sheet["x"] + 200, sheet["y"] + 20)
    page.mouse.down()
    page.mouse.move(sheet["x"] + 330, sheet["y"] + 120, steps=4)
    page.mouse.up()
    assert page.locator("#missed").evaluate("node => node === document.activeElement")
    page.select_option("#missed", "car")
    page.click(".place button")
    page.locator(".near .row").first.wait_for()
    assert page.locator("#reasons h2").inner_text() == "Why no car here?"
    assert page.locator(".near .row").count() == 5
    threshold = re.escape(page.locator("#conf").input_value())
    assert re.search(rf"(?i)score .* is not above {threshold}\b", page.locator("ul.near").inner_text())
    assert page.locator(".mark.near").count() == 5
    page.locator(".near .row").nth(1).hover()
    assert page.locator(".mark.strong").count() == 1
    page.keyboard.press("Escape")
    assert page.locator(".mark, .marker").count() == 0


def test_a_webcam_is_shown_with_its_boxes_and_frames_are_kept(visit):
    page = visit(permissions=["camera"])
    page.locator("#examples button").first.wait_for()
    page.click("#start-camera")
    page.locator(".picture canvas").wait_for()
    until(page, "() => / frames\\/s/.test(document.querySelector('.clock').textContent)")
    first = page.inner_text("#name")
    until(page, "first => document.querySelector('#name').textContent !== first", arg=first)
    page.get_by_role("button", name="Keep this frame").click()
    page.get_by_role("button", name="Pause").click()
    still = page.inner_text("#name")
    page.wait_for_timeout(500)
    assert page.inner_text("#name") == still
    page.locator("#live").get_by_role("button", name="Close").click()
    assert page.locator("#live").is_hidden()
    assert page.inner_text("#name").startswith("webcam-")


def test_a_video_is_played_and_its_frames_have_their_own_boxes(visit, tmp_path):
    cv2 = pytest.importorskip("cv2")
    file = tmp_path / "road.webm"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"VP80"), 10, (640, 428))
    for name, _ in [(STREET, range(10))] * 10 + [(RIDER, range(10))] * 10:
        writer.write(cv2.resize(cv2.imread(str(name)), (640, 428)))
    writer.release()
    page = with_pictures(visit(), file)
    page.locator("#live").get_by_role("button", name="Pause").click()
    for second, several in ((0.3, True), (1.7, False)):
        page.locator("#live input").fill(str(second))
        until(page, "name => document.querySelector('#name').textContent === name", arg=f"road-{second:.2f}s.jpg")
        assert (count(page) > 2) is several


def test_everything_is_there_for_the_keyboard_alone(visit):
    page = visit()
    example = page.get_by_role("button", name="Example street.jpg")
    example.wait_for()
    for _ in range(30):
        page.keyboard.press("Tab")
        if example.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.locator(".box").first.wait_for(state="attached")
    page.keyboard.press("b")
    name = "() => document.activeElement.getAttribute('aria-label')"
    first = page.evaluate(name)
    assert first.startswith("person, score")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(name) != first
    assert page.locator(".tip").inner_text() == page.evaluate(name)
    page.keyboard.press("Enter")
    page.locator("#reasons .verdict").wait_for()
    before = count(page)
    for _ in range(4):
        page.keyboard.press(",")
    assert count(page) > before
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    sides = lambda: [float(page.locator(".marker").get_attribute(side)) for side in ("x", "y", "width", "height")]  # noqa: E731
    start = sides()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    assert [a - b for a, b in zip(sides(), start, strict=True)] == pytest.approx([-12.8, 0, 0, 12.8])
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".near .row").first.wait_for()


def overflow(page):
    return page.evaluate("() => document.documentElement.scrollWidth - innerWidth")


def test_a_phone_shows_everything_in_its_width(visit):
    page = visit(PHONE, has_touch=True, is_mobile=True)
    page.locator("#examples button").first.wait_for()
    assert overflow(page) == 0
    with_pictures(page, KITCHEN, STREET)
    page.select_option("#compare", "two")
    page.locator(".view").nth(1).locator(".box").first.wait_for(state="attached")
    page.locator(".list .row").first.tap()
    page.locator("#reasons .verdict").wait_for()
    for summary in page.locator("#panel summary").all():
        summary.tap()
    assert overflow(page) == 0
    cut = page.evaluate(
        """() => [...document.querySelectorAll("main button, main select, main input")]
            .filter(node => node.checkVisibility() && !node.closest(".strip"))
            .map(node => node.getBoundingClientRect())
            .filter(({ left, right }) => right > innerWidth || left < 0).length"""
    )
    assert cut == 0


def test_a_finger_draws_the_rectangle_after_it_was_asked_for(visit):
    page = with_pictures(visit(PHONE, has_touch=True, is_mobile=True), STREET)
    page.locator("#ask-place").tap()
    page.locator(".marker").wait_for()
    sheet = page.locator(".sheet").bounding_box()
    fingers = page.context.new_cdp_session(page)

    def touch(kind, *points):
        places = [{"x": sheet["x"] + x, "y": sheet["y"] + y} for x, y in points]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", (60, 10))
    for step in range(1, 6):
        touch("touchMove", (60 + 20 * step, 10 + 15 * step))
    touch("touchEnd")
    page.get_by_text("What should be here?").wait_for()
    scale = sheet["width"] / 640
    sides = [scale * float(page.locator(".marker").get_attribute(name)) for name in ("x", "y", "width", "height")]
    assert sides == pytest.approx([60, 10, 100, 75], abs=2)


def test_light_and_dark_follow_the_system_or_the_choice(visit):
    background = "getComputedStyle(document.documentElement).backgroundColor"
    shade = f"() => {background}.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    assert max(visit(color_scheme="dark").evaluate(shade)) < 60
    page = visit(color_scheme="light")
    assert min(page.evaluate(shade)) > 200
    page.click("#theme")
    page.click("#theme")
    assert page.inner_text("#theme") == "Theme: dark"
    assert max(page.evaluate(shade)) < 60
    page.reload()
    assert max(page.evaluate(shade)) < 60


def test_two_models_are_shown_side_by_side_and_compared(page):
    page.select_option("#compare", "two")
    until(page, "() => /and [0-9]/.test(document.querySelector('#count').textContent)")
    number = page.locator(".view").first.locator(".box").count()
    assert page.inner_text("#count") == f"{number} and {number}"
    assert page.inner_text("#differences") == f"Both found {number}; only one: 0; only two: 0."
    for _ in range(4):
        page.click("#zoom-in")
    scrolls = "() => [...document.querySelectorAll('.scroller')].map(node => [node.scrollLeft, node.scrollTop])"
    page.locator(".scroller").first.evaluate("node => node.scrollTo(77, 55)")
    until(page, f"({scrolls})().every(([x, y]) => x === 77 && y === 55)")


def test_results_are_taken_away_as_files(page, address):
    set_confidence(page, 0.3)
    expected = in_json(page, address, STREET, 0.3)

    def saved(name):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Save {name}", exact=True).click()
        return download.value.suggested_filename, Path(download.value.path()).read_bytes()

    name, content = saved("JSON")
    assert name == "street.json"
    assert json.loads(content)["detections"] == expected
    name, content = saved("COCO")
    coco = json.loads(content)
    assert coco["images"] == [{"id": 1, "file_name": "street.jpg", "width": 640, "height": 428}]
    assert [entry["score"] for entry in coco["annotations"]] == [found["score"] for found in expected]
    assert {entry["category_id"] for entry in coco["annotations"]} == {1}
    assert next(one["id"] for one in coco["categories"] if one["name"] == "toothbrush") == 90
    name, content = saved("picture")
    with Image.open(io.BytesIO(content)) as drawn:
        assert (name, drawn.format, drawn.size) == ("street-boxes.png", "PNG", (640, 428))
        left, top, _, bottom = expected[0]["box"]
        edge = drawn.convert("RGB").getpixel((round(left), round((top + bottom) / 2)))
    assert sum(abs(a - b) for a, b in zip(edge, (213, 94, 0), strict=True)) < 120


def commands(page):
    """Those to copy: for curl, for Python."""
    for summary in page.locator("#take summary").all():
        summary.click()
    # They are written when the browser says that they are open, which is later.
    until(page, "() => [...document.querySelectorAll('#take pre')].every((block) => block.textContent)")
    return [block.inner_text() for block in page.locator("#take pre").all()]


def test_commands_to_copy_ask_the_same(page, tmp_path, address):
    set_confidence(page, 0.3)
    curl, python = commands(page)
    shutil.copy(STREET, tmp_path)
    expected = in_json(page, address, STREET, 0.3)
    said = subprocess.run([sys.executable, "-c", python], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == [f"{one['label']} {one['score']} {one['box']}" for one in expected]
    if shutil.which("curl"):
        said = subprocess.run(["bash", "-c", curl], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert json.loads(said.stdout)["detections"] == expected


def test_time_of_each_stage_is_shown(page):
    lines = page.locator("#times dt").all_inner_texts()
    assert lines == ["waiting its turn", "reading the picture", "running the model", "transfer and page", "all"]
    times = [float(text.removesuffix(" ms")) for text in page.locator("#times dd").all_inner_texts()]
    assert sum(times[:-1]) == pytest.approx(times[-1], abs=0.3)


def test_errors_are_told_where_they_happened(visit, tmp_path):
    bad = tmp_path / "notes.jpg"
    bad.write_text("no picture")
    page = with_pictures(visit(), STREET)
    page.set_input_files("#files", [bad])
    page.locator("#problem").wait_for()
    assert "notes.jpg" in page.inner_text("#name")
    assert "picture" in page.inner_text("#problem")
    assert page.locator(".badge.bad").count() == 1
    assert "cannot show the file" in page.inner_text(".blank")
    for name in ("JSON", "picture"):
        page.get_by_role("button", name=f"Save {name}", exact=True).click()
        page.locator("#take").get_by_text("There is no answer yet").wait_for()
    page.check("#take .all input")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save JSON", exact=True).click()
    assert json.loads(Path(download.value.path()).read_bytes())["source"] == "street.jpg"
    assert page.locator("#take .soft").last.inner_text() == "pictures.json saved; 1 without an answer left out"
    page.locator("#strip button").first.click()
    assert page.locator("#problem").is_hidden()
    page.expected_troubles[:] = [words for words in page.expected_troubles if "status of 4" not in words]


def test_a_file_that_the_browser_cannot_show_still_gets_its_boxes(visit, address, tmp_path):
    file = tmp_path / "street.tiff"
    with Image.open(STREET) as image:
        image.save(file)
    page = with_pictures(visit(), file)
    assert count(page) == len(in_json(page, address, file))
    assert "cannot show the file" in page.inner_text(".blank")


def test_a_turned_picture_is_shown_as_its_boxes_are_counted(visit, address, tmp_path):
    file = tmp_path / "turned.jpg"
    with Image.open(STREET) as image:
        exif = image.getexif()
        exif[0x0112] = 6  # to be turned to the right, which sets it upright
        image.transpose(Image.Transpose.ROTATE_90).save(file, exif=exif)
    page = with_pictures(visit(), file)
    assert page.evaluate("() => document.querySelector('.picture img').naturalWidth") == 640
    assert page.locator(".boxes").get_attribute("viewBox") == "0 0 640 428"
    assert count(page) == len(in_json(page, address, file))


def test_the_key_is_asked_for_and_sent(visit):
    def locked(page):
        def answer(route):
            if route.request.headers.get("authorization") == "Bearer letmein99":
                return route.continue_()
            refused = {"error": {"message": "a key is needed", "request_id": "1"}}
            return route.fulfill(status=401, json=refused)

        page.route("**/v1/**", answer)

    page = visit(before=locked)
    page.locator("#key").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_text("That key was not accepted").wait_for()
    page.locator("#key").fill("letmein99")
    page.keyboard.press("Enter")
    with_pictures(page, STREET)
    assert all("LUCIDBOX_KEY" in command for command in commands(page))
    assert "letmein99" not in page.content()
    page.expected_troubles[:] = [words for words in page.expected_troubles if "401" not in words]


def test_a_busy_server_is_asked_again(visit, address):
    asked = []

    def busy(page):
        def answer(route):
            asked.append(route.request.url)
            if len(asked) > 1:
                return route.continue_()
            return route.fulfill(status=429, headers={"Retry-After": "1"}, json={"error": {"message": "full"}})

        page.route("**/v1/detect**", answer)

    page = with_pictures(visit(before=busy), STREET)
    assert len(asked) == 2
    assert count(page) == len(in_json(page, address, STREET))
    page.expected_troubles[:] = [words for words in page.expected_troubles if "429" not in words]


def test_a_pasted_picture_is_looked_at(visit, address):
    page = visit()
    page.locator("#examples button").first.wait_for()
    page.evaluate(
        """async () => {
            const blob = await (await fetch("page/examples/street.jpg")).blob();
            const transfer = new DataTransfer();
            transfer.items.add(new File([blob], "image.jpg", { type: "image/jpeg" }));
            document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }"""
    )
    page.locator(".box").first.wait_for(state="attached")
    assert count(page) == len(in_json(page, address, STREET))


def test_pictures_are_walked_through_and_taken_away(visit):
    page = with_pictures(visit(), STREET, RIDER, KITCHEN)
    page.keyboard.press("]")
    assert page.inner_text("#name") == "rider.jpg, 2 of 3"
    page.locator("#strip .away").nth(1).click()
    assert page.inner_text("#name") == "kitchen.jpg, 2 of 2"
    page.locator("#strip .away").first.focus()
    page.keyboard.press("Enter")
    assert page.inner_text("#name") == "kitchen.jpg"
    page.click("h1 a")
    page.locator("#start").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing_serious(visit, scheme, viewport):
    source = Path(os.environ.get("AXE_CORE", ROOT / "node_modules" / "axe-core" / "axe.min.js"))
    if not source.exists():
        pytest.skip("axe-core is absent: npm install --no-save axe-core, or name axe.min.js in AXE_CORE")
    page = visit(viewport, color_scheme=scheme)
    page.locator("#examples button").first.wait_for()
    page.evaluate(source.read_text(encoding="utf-8"))
    found = [serious(page)]
    with_pictures(page, STREET, KITCHEN)
    page.locator("#take summary").first.click()
    found.append(serious(page))
    page.locator(".list .row").first.click()
    page.locator("#reasons .verdict").wait_for()
    found.append(serious(page))
    page.keyboard.press("m")
    found.append(serious(page))
    page.keyboard.press("Escape")
    page.select_option("#compare", "two")
    page.click(".chip")
    found.append(serious(page))
    page.click("#help")
    found.append(serious(page))
    assert found == [[]] * 6


def serious(page):
    result = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        (one["id"], node["html"], node["failureSummary"])
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def test_every_file_that_the_page_names_is_there():
    folder = Path(lucidbox.__file__).parent / "serve" / "page"
    texts = {
        file.name: file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.suffix in (".html", ".js", ".css")
    }
    named = set(re.findall(r'"page/([\w.]+)"', texts["index.html"]))
    for name, text in texts.items():
        if name.endswith(".js"):
            named |= set(re.findall(r'from "\./([\w.]+)"', text))
    assert named | {"index.html"} == {file.name for file in folder.iterdir() if file.is_file()}
    headings = [int(level) for level in re.findall(r"<h(\d)", texts["index.html"])]
    assert all(after - before <= 1 for before, after in pairwise(headings))
