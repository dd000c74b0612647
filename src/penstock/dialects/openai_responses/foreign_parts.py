"""What requests and answers of other dialects have in common: citations as annotations and documents made of
text.
"""

from __future__ import annotations

from penstock.dialects.documents import note_source_span, words_about
from penstock.types.content import Blocks, Citation, Media, Part, PlainText, Text
from penstock.types.notes import Note


def adapt_citations(part: Text, path: str, notes: list[Note]) -> tuple[Citation, ...]:
    """The citations of a text as annotations: of a URL, or of an uploaded file. Others have no place."""
    found: list[Citation] = []
    for number, citation in enumerate(part.citations or ()):
        adapted = adapt_citation(citation, part.text)
        if adapted is None:
            notes.append(Note(f"{path}[{number}]", "dropped", "Responses cites only URLs and uploaded files"))
            continue
        if citation.cited_text is not None:
            notes.append(Note(f"{path}[{number}].cited_text", "dropped", "an annotation does not quote"))
        note_source_span(citation, f"{path}[{number}]", notes)
        found.append(adapted)
    return tuple(found)


def adapt_citation(citation: Citation, text: str) -> Citation | None:
    """One citation as an annotation with all its fields, None where there is no such annotation. Without offsets, it
    covers all of `text`.
    """
    start = 0 if citation.start is None else citation.start
    if citation.url is not None:
        end = len(text) if citation.end is None else citation.end
        return Citation(citation.url, citation.title or "", start=start, end=end)
    if citation.file_id is None:
        return None
    extras = {"index": start}
    return Citation(title=citation.title or "", file_id=citation.file_id, native="file_citation", extras=extras)


def adapt_document(part: Media, path: str, notes: list[Note]) -> tuple[Part, ...] | None:
    """The parts of a document that is given as text or as parts, with what is told about it in front; None for any
    other media.
    """
    if not isinstance(part.source, PlainText | Blocks):
        return None
    about = words_about(part, path, notes, title=True)
    if isinstance(part.source, PlainText):
        notes.append(Note(path, "changed", "a text document became a text"))
        return (Text(part.source.text if about is None else f"{about}\n\n{part.source.text}"),)
    notes.append(Note(path, "changed", "a document of parts became its parts"))
    return part.source.parts if about is None else (Text(about), *part.source.parts)
