"""Benchmarks: crmcli measured against other programs doing the like, and against itself as a store grows."""
