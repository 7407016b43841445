"""Runs as data: what happens to a cluster and when; drawn from a seed, played, shrunk, saved."""
