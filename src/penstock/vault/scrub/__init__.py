"""Takes secrets out of what upstreams answer: docs/explanation/scrubbing.md says what is found and what cannot be."""

from penstock.vault.scrub.codings import Decoder, decoder
from penstock.vault.scrub.stream import Finding, Scrubber, ScrubStream
from penstock.vault.scrub.watcher import Watcher

__all__ = ["Decoder", "Finding", "ScrubStream", "Scrubber", "Watcher", "decoder"]
