"""Models that lucidbox did not write, behind the contract of our engines: pixels and answers are translated."""

from lucidbox.engines.layouts.engine import GraphRunner, LayoutEngine

__all__ = ["GraphRunner", "LayoutEngine", "answers", "pixels"]
