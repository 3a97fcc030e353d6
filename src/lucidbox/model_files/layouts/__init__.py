"""Models that lucidbox did not write: how each takes pixels and answers, recognised or described. Needs no engine.

Public: ``layout`` (what a layout is), ``signature`` (what a graph takes and gives), ``metadata`` (what other tools
state), ``recognise``, ``sidecar`` (descriptions), ``foreign`` (all of it for a file).
"""

__all__ = ["foreign", "layout", "metadata", "recognise", "sidecar", "signature"]
