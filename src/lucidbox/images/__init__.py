"""One way from an image file to RGB pixels."""
