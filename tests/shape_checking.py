"""The checker of types and shapes while tests run: beartype, taking whole numbers for floats as Python does."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
