"""The calls of the SDK: `completion` and its kin, `Client`, `Router`, and the drivers that do the I/O which
everything below only describes.
"""
