"""Models that lucidbox did not write: how each takes pixels and answers, recognised or described. Needs no engine.

Public: ``layout`` (what a layout is), ``signature`` (what a graph takes and gives), ``recognise``, ``sidecar``.
"""
