"""What kind of file a model is, and what it says of itself."""
