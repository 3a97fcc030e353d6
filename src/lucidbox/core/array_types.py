"""Array types that say their shapes: ``Float[np.ndarray, "n 4"]``.

In tests (where jaxtyping's import hook is installed first) and for type checkers these are
jaxtyping's own types. In production they are plain aliases of the array class: importing
jaxtyping costs about 70 ms, a tenth of a cold start, and nothing would be checked.

Axis letters used everywhere: b batch, h height, w width, n detections, a anchors, c classes.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Float32, Int, Int64, Num, Shaped, UInt8, UInt64
else:

    class _Unchecked:
        def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
            return item[0]

    Bool = Float = Float32 = Int = Int64 = Num = Shaped = UInt8 = UInt64 = _Unchecked

__all__ = ["Bool", "Float", "Float32", "Int", "Int64", "Num", "Shaped", "UInt8", "UInt64"]
