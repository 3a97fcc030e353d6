"""How long the methods that search may take."""

from dataclasses import dataclass, field

from lucidbox.core.errors import OptionError
from lucidbox.core.progress import Progress, no_progress


@dataclass(frozen=True)
class Effort:
    """What methods that search may spend on one target.

    Attributes:
        steps: of ``optimised``; each follows four changed pictures back through the network.
        inferences: of ``search``, at most; most are of a part of the picture.
        seed: of what they draw at random: the same seed, the same map.
        progress: shows how many steps are done.

    Raises:
        OptionError: a value is out of range.
    """

    steps: int = 32
    inferences: int = 600
    seed: int = 0
    progress: Progress = field(default=no_progress, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("steps", "inferences"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} {getattr(self, name)} is less than 1")
        if self.seed < 0:
            raise OptionError(f"seed {self.seed} is less than 0")
