"""See the package above."""

Compose = Normalize = ToTensor = None
