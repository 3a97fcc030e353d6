"""Text put in the order and the letter forms in which it is seen, for drawing without a text engine.

Arabic letters change form with their neighbours, and Arabic and Hebrew run from right to left; a renderer
that only sets one glyph after another needs both done first. The joining forms come from Python's own
Unicode table. The order follows the Unicode bidirectional algorithm (UAX #9) without explicit embedding
characters and bracket pairing (rule N0), which class names hardly need.
"""

import unicodedata
from functools import lru_cache
from itertools import groupby

_RIGHT_TO_LEFT = {"R", "AL"}
_NUMBERS = {"EN", "AN"}
_NEUTRAL, _SEPARATOR = "", ","
_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_ZERO_WIDTH_NON_JOINER = "\u200c"
_LAM, _ALEFS = "\u0644", "\u0622\u0623\u0625\u0627"
_TATWEEL = "\u0640"


def is_right_to_left(text: str) -> bool:
    """Whether any letter of the text belongs to a script written from right to left."""
    return any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in text)


def visual_order(text: str) -> str:
    """The characters from left to right as a reader sees them; brackets inside right-to-left text turned."""
    clusters = _clusters(text)
    levels = _levels([unicodedata.bidirectional(cluster[0]) for cluster in clusters])
    shown = [
        cluster.translate(_MIRRORED) if level % 2 else cluster
        for cluster, level in zip(clusters, levels, strict=True)
    ]
    # UAX #9, rule L2: from the highest level down to 1, turn every run of at least that level.
    for lowest in range(max(levels, default=0), 0, -1):
        turned: list[tuple[str, int]] = []
        for high, run in groupby(zip(shown, levels, strict=True), key=lambda pair: pair[1] >= lowest):
            turned += list(run)[:: -1 if high else 1]
        shown, levels = [cluster for cluster, _ in turned], [level for _, level in turned]
    return "".join(shown)


def _clusters(text: str) -> list[str]:
    """Each letter with the marks that stand on it: turning the order must not part them."""
    clusters: list[str] = []
    for letter in text:
        if clusters and unicodedata.category(letter) in {"Mn", "Me"}:
            clusters[-1] += letter
        else:
            clusters.append(letter)
    return clusters


def _levels(kinds: list[str]) -> list[int]:
    """Embedding level of each character from its bidirectional class: even runs right, odd runs left."""
    strong = [kind for kind in kinds if kind in _RIGHT_TO_LEFT or kind == "L"]
    base = "R" if strong and strong[0] in _RIGHT_TO_LEFT else "L"
    resolved, direction = [], base
    for kind in kinds:
        if kind in _RIGHT_TO_LEFT or kind == "L":
            direction = "L" if kind == "L" else "R"
            resolved.append(direction)
        elif kind in _NUMBERS:
            # Rule W7: a European number that follows left-to-right text is part of it.
            resolved.append("L" if kind == "EN" and direction == "L" else "number")
        else:
            resolved.append(_SEPARATOR if kind in {"ES", "CS"} else _NEUTRAL)
    level = {"R": 1, "number": 2, "L": 2 if base == "R" else 0}
    return [level[kind] for kind in _without_neutrals(resolved, base)]


def _without_neutrals(kinds: list[str], base: str) -> list[str]:
    """Spaces and signs take the direction that both their neighbours have, else the whole text's."""
    filled: list[str] = []
    for neutral, group in groupby(kinds, key=lambda kind: kind in {_NEUTRAL, _SEPARATOR}):
        run = list(group)
        if neutral:
            end = len(filled) + len(run)
            before = filled[-1] if filled else base
            after = kinds[end] if end < len(kinds) else base
            # One separator between two numbers keeps them one, as in 3.5 or 10:30 (rule W4); else a number
            # counts as right to left for the signs beside it (rule N1).
            inside_number = before == after == "number" and run == [_SEPARATOR]
            sides = {"R" if side == "number" else side for side in (before, after)}
            run = ["number" if inside_number else sides.pop() if len(sides) == 1 else base] * len(run)
        filled += run
    return filled


@lru_cache(maxsize=1)
def _joining_forms() -> dict[str, dict[str, str]]:
    """Letter (or lam with alef) to its presentation characters by form: isolated, final, initial, medial."""
    forms: dict[str, dict[str, str]] = {}
    for code in (*range(0xFB50, 0xFBFF + 1), *range(0xFE80, 0xFEFC + 1)):
        form, *letters = unicodedata.decomposition(chr(code)).split() or [""]
        if form.strip("<>") in {"isolated", "final", "initial", "medial"}:
            letter = "".join(chr(int(number, 16)) for number in letters)
            forms.setdefault(letter, {}).setdefault(form.strip("<>"), chr(code))
    return forms


def joined(text: str) -> str:
    """Arabic letters, still in reading order, replaced by the form each takes between its neighbours."""
    forms = _joining_forms()
    units: list[str] = []
    for cluster in _clusters(text):
        lam_alef = units and units[-1] == _LAM and cluster in _ALEFS
        units[-1:] = [units[-1] + cluster] if lam_alef else [*units[-1:], cluster]
    shaped = []
    for index, unit in enumerate(units):
        letter = unit if unit in forms else unit[0]
        before = index > 0 and _joins_next(units[index - 1]) and _joins_previous(unit)
        after = _joins_next(unit) and index + 1 < len(units) and _joins_previous(units[index + 1])
        form = ("medial" if after else "final") if before else ("initial" if after else "isolated")
        shaped.append(forms.get(letter, {}).get(form, letter) + unit[len(letter) :])
    return "".join(shaped).replace(_ZERO_WIDTH_NON_JOINER, "")


def _joins_next(unit: str) -> bool:
    """Whether a letter reaches out to the one after it; an alef that follows a lam ends the join."""
    letter = unit if unit in _joining_forms() else unit[0]
    return letter == _TATWEEL or "initial" in _joining_forms().get(letter, {})


def _joins_previous(unit: str) -> bool:
    """Whether a letter can be reached by the one before it."""
    letter = unit if unit in _joining_forms() else unit[0]
    return letter == _TATWEEL or "final" in _joining_forms().get(letter, {})
