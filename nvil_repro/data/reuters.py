"""Reuters-21578 in the ModApte split as words: the stories of its 22 SGML files.

Training stories have LEWISSPLIT="TRAIN" and TOPICS="YES", test stories "TEST" and "YES" (its README, section VIII.B).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from nvil_repro.data.archives import read_tar
from nvil_repro.data.formats import FormatError
from nvil_repro.data.text import write_documents

SPLITS = {"train": "TRAIN", "test": "TEST"}

_OPENING = re.compile(r"<REUTERS\b([^>]*)>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_TEXT = re.compile(r"<TEXT\b([^>]*)>(.*?)</TEXT>", re.DOTALL)
_PARTS = re.compile(r"<(TITLE|BODY)>(.*?)</\1>", re.DOTALL)
_ENTITY = re.compile(r"&#?\w+;")


class Story(NamedTuple):
    """One document: its split as the attributes say it, its topics, its title and body."""

    lewis_split: str
    has_topics: str
    topics: tuple[str, ...]
    text: str


def from_archive(raw: bytes) -> dict[str, bytes]:
    """The documents of both splits, by content name, labelled with their topics, from the archive of SGML files.

    Errors: `FormatError` naming the file, document and line; also for an archive without SGML files.
    """
    members = {name.rsplit("/", 1)[-1]: content for name, content in read_tar(raw).items()}
    names = sorted(name for name in members if name.endswith(".sgm"))
    if not names:
        raise FormatError("no .sgm files in the archive; is it Reuters-21578, Distribution 1.0?")
    stories = [story for name in names for story in read_sgml(members[name], name)]
    return {
        f"reuters21578-{split}.txt": write_documents(
            (",".join(story.topics), story.text)
            for story in stories
            if (story.lewis_split, story.has_topics) == (lewis_split, "YES")
        )
        for split, lewis_split in SPLITS.items()
    }


def read_sgml(content: bytes, name: str) -> Iterator[Story]:
    """The stories of one SGML file. Errors: `FormatError` naming file, document (NEWID) and line of what is broken."""
    sgml = content.decode("latin-1")
    openings = list(_OPENING.finditer(sgml))
    if not openings:
        raise FormatError(f"{name}: no <REUTERS> in it; is it a file of Reuters-21578?")
    ends = [*(opening.start() for opening in openings[1:]), len(sgml)]
    for opening, end in zip(openings, ends, strict=True):
        attributes = dict(_ATTRIBUTE.findall(opening[1]))
        story, closing, _ = sgml[opening.end() : end].partition("</REUTERS>")
        text = _TEXT.search(story)
        if problem := _problem(attributes, closed=bool(closing), has_text=text is not None):
            line = sgml.count("\n", 0, opening.start()) + 1
            number = attributes.get("NEWID", "without NEWID")
            raise FormatError(f"{name}: document {number}, line {line:,}: {problem}; get the file anew")
        assert text is not None
        topics = re.findall(r"<D>(.*?)</D>", _between(story, "TOPICS"))
        yield Story(attributes["LEWISSPLIT"], attributes["TOPICS"], tuple(topics), _title_and_body(text))


def _problem(attributes: dict[str, str], closed: bool, has_text: bool) -> str | None:
    if missing := [key for key in ("LEWISSPLIT", "TOPICS", "NEWID") if key not in attributes]:
        return f"<REUTERS> without {', '.join(missing)}"
    if not closed:
        return "no </REUTERS> before the next document or the end: truncated?"
    return None if has_text else "no <TEXT>...</TEXT>"


def _title_and_body(text: re.Match[str]) -> str:
    """Title and body, or all of a text that the distribution left unprocessed, which has neither marked."""
    parts = [part[2] for part in _PARTS.finditer(text[2])]
    whole = [text[2]] if "UNPROC" in text[1] else parts
    return _ENTITY.sub(" ", " ".join(whole))


def _between(story: str, tag: str) -> str:
    return story.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
