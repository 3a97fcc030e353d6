"""The one path over a data set, and what is asked of its results."""
