"""Documents and citations for dialects that have no places for what Anthropic and Bedrock say of them.

What is told about a document (its title, its context, where a search found it) goes to the model all the same, as words
in front of it; that answers shall cite it, and where in the source a citation stands, is noted as lost.
"""

from __future__ import annotations

from penstock.types.content import Citation, Media
from penstock.types.notes import Note


def words_about(media: Media, path: str, notes: list[Note], title: bool = False) -> str | None:
    """The words to put in front of a document, with its `title` where that has no other place; None for none.

    Notes that they became a text, and that nothing makes the answer cite the document.
    """
    if media.cite:
        notes.append(Note(f"{path}.cite", "dropped", "nothing makes an answer cite a document here"))
    if media.context is None and media.origin is None and not (title and media.name):
        return None
    told = [("context", media.context), ("origin", media.origin)]
    notes += [Note(f"{path}.{name}", "changed", "told in words") for name, value in told if value is not None]
    lines = (media.name if title else None, media.origin and f"Source: {media.origin}", media.context)
    return "\n".join(line for line in lines if line) or None


def note_source_span(citation: Citation, path: str, notes: list[Note]) -> None:
    """A note for the place in the source, which most dialects cannot tell."""
    if citation.source_start is not None or citation.source_end is not None:
        notes.append(
            Note(f"{path}.source_start", "dropped", f"no place for the {citation.unit or 'place'} in the source")
        )
