"""Surfaces: what clients can ask for, and in which words. `table.py` finds what is served at a path, `places.py`
lists it.
"""
