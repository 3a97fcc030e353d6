"""Text in the order and letter forms in which it is seen. Expected values: the Unicode standard's examples."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.core.text import printable
from lucidbox.draw.text_order import is_right_to_left, joined, visual_order

HEBREW = "שלום"
DEREH = HEBREW[::-1]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("traffic light", "traffic light"),
        ("人 car", "人 car"),
        (HEBREW, DEREH),
        (f"car {HEBREW}", f"car {DEREH}"),
        (f"{HEBREW} car", f"car {DEREH}"),
        (f"{HEBREW} traffic light", f"traffic light {DEREH}"),
        (f"{HEBREW} 12", f"12 {DEREH}"),
        (f"{HEBREW} 3.5", f"3.5 {DEREH}"),
        (f"3.5 7 {HEBREW}", f"{DEREH} 7 3.5"),
        (f"{HEBREW}!", f"!{DEREH}"),
        (f"{HEBREW} ({HEBREW})", f"({DEREH}) {DEREH}"),
        (f"bus {HEBREW} bus", f"bus {DEREH} bus"),
        ("", ""),
    ],
)
def test_visual_order(text, seen):
    assert visual_order(text) == seen


def test_marks_stay_behind_their_letter():
    point = "\u05b8"  # qamats
    assert visual_order("א" + point + "ב") == "ב" + "א" + point


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=20))
def test_order_only_moves_characters(text):
    brackets = str.maketrans(")]}>»", "([{<«")
    assert sorted(visual_order(text).translate(brackets)) == sorted(text.translate(brackets))


@given(st.text(alphabet=st.characters(max_codepoint=0x24F)))
def test_left_to_right_text_is_left_alone(text):
    assert visual_order(text) == text
    assert joined(text) == text
    assert not is_right_to_left(text)


def forms(text):
    """Each letter's form in Unicode's own words."""
    return [unicodedata.name(letter).rsplit(" ", 2)[1] for letter in joined(text)]


def test_arabic_letters_join():
    # sheen, khah, sad: all join both ways.
    assert forms("شخص") == ["INITIAL", "MEDIAL", "FINAL"]
    # alef and dal do not reach on.
    assert forms("باد") == ["INITIAL", "FINAL", "ISOLATED"]


def test_hamza_joins_nothing():
    assert forms("بءب") == ["ISOLATED", "ISOLATED", "ISOLATED"]


def test_lam_with_alef_is_one_letter():
    assert joined("لا") == "\ufefb"
    assert joined("سلام") == "\ufeb3\ufefc\ufee1"


def test_non_joiner_parts_letters():
    assert forms("ب\u200cب") == ["ISOLATED", "ISOLATED"]


def test_marks_do_not_part_letters():
    fatha = "\u064e"
    assert joined(f"ب{fatha}ب") == f"\ufe91{fatha}\ufe90"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("cafe\u0301", "café"),
        ("two\nlines\tand  spaces ", "two lines and spaces"),
        ("\x1b[31mred\x07", "[31mred"),
        ("broken\ud83d name", "broken name"),
        ("\u202eevil\u202c", "evil"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\x00\x01", ""),
    ],
)
def test_printable(text, clean):
    assert printable(text) == clean


@given(st.text(alphabet=st.characters()))
def test_printable_can_be_encoded_and_holds_no_controls(text):
    clean = printable(text)
    clean.encode()
    assert not any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in clean)
    assert printable(clean) == clean
