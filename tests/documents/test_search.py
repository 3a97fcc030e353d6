"""Questions of practitioners, asked in a browser: the right page is among the first three results."""

import http.server
import shutil
import threading
from functools import partial
from urllib.parse import quote

import pytest

pytestmark = [pytest.mark.extended, pytest.mark.browser]

QUESTIONS = {
    "boxes are shifted": "how-to/boxes-are-shifted",
    "mAP differs from Ultralytics": "how-to/map-differs",
    "export to TensorRT": "how-to/gpu",
    "what licence are my weights": "explanation/licences",
    "run on a folder of 12-megapixel photos": "how-to/large-photos",
    "out of memory": "how-to/out-of-memory",
    "which threshold": "how-to/choose-a-threshold",
    "small objects missed": "how-to/small-objects",
    "convert YOLO labels to COCO": "how-to/convert-labels",
    "use my webcam": "how-to/webcam",
    "count people crossing a line": "how-to/track-and-count",
    "why was this object missed": "how-to/objects-are-missed",
    "resume training": "how-to/train",
    "int8": "how-to/int8",
    "serve over HTTP": "reference/http",
    "multiple GPUs or machines": "how-to/train-machines",
    "class names are wrong": "how-to/class-names-are-wrong",
    "video is slow": "how-to/video-is-slow",
    "DETR / YOLOX model": "reference/models",
    "compare two models in CI": "how-to/ci-gate",
}
"""Question → the page that answers it."""

OTHER_WORDS = {
    "bounding boxes in the wrong place": "how-to/boxes-are-shifted",
    "different AP than pycocotools": "how-to/map-differs",
    "CUDA out of memory when training": "how-to/out-of-memory",
    "confidence threshold per class": "how-to/choose-a-threshold",
    "is the AGPL a problem": "explanation/licences",
    "slicing large images like SAHI": "how-to/from-sahi",
    "RTSP stream from an IP camera": "how-to/webcam",
    "speed up video inference": "how-to/video-is-slow",
    "continue training after power cut": "how-to/train",
    "Raspberry Pi": "how-to/small-processor",
    "Triton server": "how-to/triton",
    "quantization": "how-to/int8",
    "Grad-CAM heatmap": "how-to/from-pytorch-grad-cam",
    "Kubernetes job": "how-to/clusters",
    "pre-annotate video for CVAT": "how-to/track-and-count",
    "parquet columns": "reference/parquet",
    "exit code 3": "reference/exit-codes",
    "fine-tune on my own images": "tutorials/train",
    "is my new model better": "how-to/ci-gate",
    "HEIC photos": "reference/pictures",
}
"""The same needs in other words, and others."""


@pytest.fixture(scope="module")
def address(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def page():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def first_three(page, root, question):
    """Names of the pages that the first three results lead to."""
    page.goto(f"{root}/search.html?q={quote(question)}")
    page.wait_for_selector("ul.search li a", timeout=120_000)
    links = page.eval_on_selector_all("ul.search > li > a", "links => links.map(link => link.href)")
    return [link.split("?")[0].split("#")[0].removeprefix(f"{root}/").removesuffix(".html") for link in links][:3]


@pytest.mark.parametrize(("question", "answer"), [*QUESTIONS.items(), *OTHER_WORDS.items()])
def test_the_answer_is_among_the_first_three(question, answer, address, page):
    assert answer in first_three(page, address, question)


def test_it_works_from_a_disk(page, site):
    assert "how-to/boxes-are-shifted" in first_three(page, site.as_uri(), "boxes are shifted")
