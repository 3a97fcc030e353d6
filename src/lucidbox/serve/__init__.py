"""The detector behind HTTP: an ASGI application for programs, and a page for people. Needs the extra ``serve``.

Importing this imports no torch; explanations that follow gradients do when one is asked for.

Example:
    >>> from lucidbox import Detector
    >>> from lucidbox.serve import ServerSettings, app
    >>> application = app({"yolo11n": Detector.load()}, ServerSettings(queue=16))  # any ASGI server runs it
"""

from lucidbox.serve.application import app
from lucidbox.serve.settings import ServerSettings

__all__ = ["ServerSettings", "app", "running"]
