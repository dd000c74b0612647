"""Benchmarks: `make bench` prints every figure beside its limit. No test asserts a time; these tables are read by
people.

The machine is shared and noisy, so a figure is the best of several runs of the same work (what the code can do), and
where two things are compared they take turns in one run.
"""
