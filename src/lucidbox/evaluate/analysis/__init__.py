"""Analyses that start from a matching."""
