"""Fuzzers of everything that parses bytes which others wrote."""
