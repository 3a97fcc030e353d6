"""Letters of any script as masks. What a letter looks like is known where a stroke is known: 一 is flat."""

import os
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lucidbox.draw import font_files, fonts
from lucidbox.draw.fonts import baseline, missing_letters, text_mask


def ink_box(mask):
    """Width and height of what is drawn."""
    rows, columns = np.nonzero(mask > 127)
    return columns.max() - columns.min() + 1, rows.max() - rows.min() + 1


def test_chinese_strokes_are_drawn():
    one, line, mouth = text_mask("一", 60), text_mask("丨", 60), text_mask("口", 60)
    assert ink_box(one)[0] > 8 * ink_box(one)[1]  # one stroke across
    assert ink_box(line)[1] > 8 * ink_box(line)[0]  # one stroke down
    rows, columns = np.nonzero(mouth > 127)
    middle = mouth[rows.min() + 10 : rows.max() - 10, columns.min() + 10 : columns.max() - 10]
    assert middle.max() == 0  # four strokes about nothing


@pytest.mark.parametrize(
    "text", ["person", "交通信号灯", "Пешеход", "Ελληνικά", "Tiếng Việt", "横断歩道", "보행자", "naïve café"]
)
def test_every_letter_is_drawn_and_none_as_the_sign_for_unknown(text):
    assert missing_letters(text) == ""
    unknown = text_mask("?", 40)
    letters = {letter: text_mask(letter, 40) for letter in text if not letter.isspace()}
    assert all(mask.shape[1] and not np.array_equal(mask, unknown) for mask in letters.values())
    drawn = {mask.tobytes() for mask in letters.values()}
    alike = len(set(letters)) - len(drawn)  # Greek and Cyrillic share some shapes with Latin
    assert alike == 0


def test_right_to_left_text_is_drawn_from_the_right():
    # Lamed alone rises above the line; it comes first, so it must stand in the right third.
    mask = text_mask("לאא", 60)
    top = np.flatnonzero(mask.max(axis=1) > 127)[0]
    assert np.flatnonzero(mask[top] > 127).mean() > mask.shape[1] * 2 / 3


def test_masks_of_one_size_share_height_and_baseline():
    masks = [text_mask(text, 40) for text in ("x", "人", "gÂ", "", "Ệ")]
    assert len({mask.shape[0] for mask in masks}) == 1
    last_row = np.flatnonzero(masks[0].max(axis=1) > 127)[-1]
    assert abs(last_row - baseline(40)) <= 1  # an x stands on the baseline


def test_nothing_to_draw_has_no_columns():
    assert text_mask("", 20).shape[1] == 0
    assert text_mask(" \n", 20).shape[1] == 0


def test_masks_cannot_be_spoilt_for_others():
    with pytest.raises(ValueError, match="read-only"):
        text_mask("person", 20)[0] = 1


@pytest.mark.parametrize("text", ["\ud83d", "a\udc00b", "\x00", "\uffff", "\U0010ffff", "\u202e", "x" * 3000])
def test_what_could_crash_a_renderer_does_not(text):
    text_mask(text, 12)


def test_letters_that_no_font_has_are_named_and_signs_are_not(monkeypatch):
    monkeypatch.setattr(font_files, "installed_fonts", lambda words: [])
    thai, emoji = "คนเดิน", "🦑"
    assert missing_letters(f"{thai} {emoji} walks") == "คนเดิ"  # the last น is one already named
    assert text_mask(f"{emoji} walks", 20).tobytes() == text_mask("walks", 20).tobytes()


@pytest.fixture
def dejavu():
    """A font with Armenian, which the built-in one has not, and with all forms of Arabic letters."""
    matplotlib = pytest.importorskip("matplotlib")
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def test_installed_font_is_used_for_what_the_built_in_one_lacks(monkeypatch, dejavu):
    sought = []

    def installed(words):
        sought.append(words)
        return [dejavu]

    monkeypatch.setattr(font_files, "installed_fonts", installed)
    assert missing_letters("Ավտոբուս") == ""
    assert sought == [frozenset({"armenian"})]
    assert text_mask("Ավտոբուս", 40).shape[1] > 100


def test_arabic_is_joined_where_a_font_has_the_forms(monkeypatch, dejavu):
    monkeypatch.setattr(font_files, "installed_fonts", lambda words: [dejavu])
    columns = text_mask("ممممم", 60).max(axis=0)
    assert columns.min() > 0  # one unbroken line from end to end


def test_arabic_is_legible_without_such_a_font(monkeypatch):
    monkeypatch.setattr(font_files, "installed_fonts", lambda words: [])
    assert missing_letters("نننن") == ""
    assert text_mask("نننن", 60).shape[1] > 60


def test_unusable_installed_font_is_passed_over(monkeypatch, tmp_path, dejavu):
    (tmp_path / "broken.ttf").write_bytes(b"\0" * 1000)
    monkeypatch.setattr(font_files, "installed_fonts", lambda words: [tmp_path / "broken.ttf", dejavu])
    assert missing_letters("Մեքենա") == ""


def test_fonts_are_found_by_the_name_of_their_script(monkeypatch):
    files = ["NotoSerifThai-Bold.ttf", "DejaVuSans.ttf", "NotoSansThai-Regular.ttf", "NotoSansLao-Regular.ttf"]
    monkeypatch.setattr(font_files, "_font_files", lambda: [Path("/fonts", name) for name in files])
    font_files.installed_fonts.cache_clear()
    found = font_files.installed_fonts(frozenset({"thai"}))
    font_files.installed_fonts.cache_clear()
    assert [path.name for path in found] == [files[2], files[0], files[1]]
    assert unicodedata.name("ก").split(" ")[0].lower() == "thai"


def run_with_font(font, code):
    """Standard output of a new process: the variable is read once in each."""
    environment = {**os.environ, "LUCIDBOX_FONT": str(font)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.thorough
def test_the_users_font_comes_first(dejavu):
    code = "from lucidbox.draw.fonts import text_mask; print(text_mask('person', 40).tobytes().hex())"
    assert run_with_font(dejavu, code) != text_mask("person", 40).tobytes().hex()
    assert run_with_font("", code) == text_mask("person", 40).tobytes().hex()


@pytest.mark.thorough
@pytest.mark.parametrize("content", [None, b"", b"\0" * 1000, b"\x00\x01\x00\x00broken"])
def test_a_users_font_that_cannot_be_read_is_named(tmp_path, content):
    font = tmp_path / "mine.ttf"
    if content is not None:
        font.write_bytes(content)
    code = (
        "from lucidbox.core.errors import OptionError\nfrom lucidbox.draw.fonts import text_mask\n"
        "try:\n    text_mask('person', 40)\nexcept OptionError as error:\n    print(error)\n"
    )
    assert run_with_font(font, code) == f"LUCIDBOX_FONT={font}: not a readable font; name a .ttf or .otf file"


def test_many_threads_draw_the_same_letters():
    texts = [f"{name} {number}" for number in range(60) for name in ("person", "自行车")]
    fonts._mask.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        together = [mask.tobytes() for mask in pool.map(lambda text: text_mask(text, 30), texts)]
    fonts._mask.cache_clear()
    assert together == [text_mask(text, 30).tobytes() for text in texts]


def test_without_a_home_folder_the_systems_fonts_are_left_and_it_is_told(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    font_files._font_files.cache_clear()
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.warns(UserWarning, match="no home folder is known"):
        font_files._font_files()
    font_files._font_files.cache_clear()
