"""See the package above."""

resize = None
