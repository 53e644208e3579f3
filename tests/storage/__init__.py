"""Tests of the storage layer, against real folders, keys and processes."""
