"""Public test doubles: what a test of software that calls models needs, and nothing that production code imports.

`penstock.testing.providers` is one real HTTP server that speaks the wire formats of the model providers and says what a
script tells it. Nothing here imports any other part of Penstock: it is an independent peer, so that a mistake in one of
our dialects cannot cancel itself out.
"""
