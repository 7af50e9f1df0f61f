"""Benchmarks: what we do, side by side with a floor and a peer, in one run."""
