"""20 Newsgroups, the by-date split, as words: from the raw posts, or from an edition of words alone.

Posts with `UUENCODED_LINES` or more lines of uuencoded bytes, which are pictures and programs, are left out.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files

from nvil_repro.data.archives import read_tar
from nvil_repro.data.formats import FormatError
from nvil_repro.data.splices import Splice, spliced
from nvil_repro.data.text import write_documents

SPLITS = ("train", "test")
UUENCODED_LINES = 10

_UUENCODED = re.compile(r"^M[ -`]{60}$", re.MULTILINE)
_SUBJECT = re.compile(r"^Subject:(.*)$", re.MULTILINE | re.IGNORECASE)


def from_archive(raw: bytes) -> dict[str, bytes]:
    """The documents of both splits, by content name, labelled with their group, from the archive of raw posts.

    A document is the words of the subject line and of all that follows the first empty line.
    Errors: `FormatError` for a damaged archive, or one without posts of a split.
    """
    posts = read_tar(raw)
    contents = {}
    for split in SPLITS:
        folder = f"20news-bydate-{split}"
        names = sorted(name for name in posts if name.startswith(f"{folder}/"))
        if not names:
            raise FormatError(f"no posts in {folder}/ of the archive; is it the by-date version?")
        texts = [(name.split("/")[1], posts[name].decode("latin-1")) for name in names]
        documents = ((group, _subject_and_body(text)) for group, text in texts if not _holds_a_file(text))
        contents[f"{folder}.txt"] = write_documents(documents)
    return contents


def from_tables(*tables: bytes) -> dict[str, bytes]:
    """The same documents from the tables of words published by A. Cardoso-Cachopo, one table a split.

    That edition cuts encoded blocks and signatures out of some forty posts and lacks seven; the splices of
    `newsgroups_splices.json` undo that. Errors: `FormatError` for tables that are not text.
    """
    splices, contents = _splices(), {}
    for split, table in zip(SPLITS, tables, strict=True):
        try:
            text = table.decode("ascii")
        except UnicodeDecodeError as error:
            raise FormatError(f"the table of the {split} posts is not plain words: {error}") from error
        contents[f"20news-bydate-{split}.txt"] = spliced(text, splices[split]).encode("ascii")
    return contents


def _splices() -> dict[str, list[Splice]]:
    resource = files("nvil_repro.data").joinpath("newsgroups_splices.json")
    by_split = json.loads(resource.read_text("ascii"))
    return {split: [Splice(*splice) for splice in splices] for split, splices in by_split.items()}


def _subject_and_body(post: str) -> str:
    header, _, body = post.partition("\n\n")
    subject = _SUBJECT.search(header)
    return f"{subject[1] if subject else ''} {body}"


def _holds_a_file(post: str) -> bool:
    return len(_UUENCODED.findall(post)) >= UUENCODED_LINES
