"""SGML to stories, on two files in the form of Distribution 1.0."""

from __future__ import annotations

import gzip

import pytest

from nvil_repro.data.formats import FormatError
from nvil_repro.data.reuters import Story, from_archive, read_sgml

from .test_archives import packed

HEAD = '<!DOCTYPE lewis SYSTEM "lewis.dtd">\n'


def story(
    text: str, number: int = 1, split: str = "TRAIN", topics: str = "YES", names: str = "", kind: str = ""
) -> str:
    return (
        f'<REUTERS TOPICS="{topics}" LEWISSPLIT="{split}" CGISPLIT="TRAINING-SET" OLDID="5" NEWID="{number}">\n'
        f"<DATE>26-FEB-1987</DATE>\n<TOPICS>{names}</TOPICS>\n<PLACES><D>usa</D></PLACES>\n"
        f"<TEXT{kind}>&#2;\n{text}\n</TEXT>\n</REUTERS>\n"
    )


FULL = "<TITLE>R&amp;D &lt;ABC> up</TITLE>\n<DATELINE>  PARIS - </DATELINE><BODY>Profit\nrose.\n Reuter\n&#3;</BODY>"
BRIEF = "******<TITLE>RATES FALL\n</TITLE>Blah blah blah.\n&#3;"
BARE = "HARTMARX &lt;HMX> DIVIDEND\n    CHICAGO, April 8"
FIRST = HEAD + story(FULL, 1, names="<D>earn</D><D>acq</D>") + story(BRIEF, 2, kind=' TYPE="BRIEF"')
SECOND = (
    HEAD
    + story(BARE, 3, split="TEST", kind=' TYPE="UNPROC"')
    + story("<BODY>unused</BODY>", 4, split="NOT-USED")
    + story("<BODY>bypassed</BODY>", 5, topics="BYPASS")
    + story("<BODY>no topics \xfc</BODY>", 6, split="TEST", topics="NO")
)
MEMBERS = {
    "reut2-001.sgm": SECOND.encode("latin-1"),
    "reut2-000.sgm": FIRST.encode(),
    "README.txt": b"<REUTERS",
}


def test_the_documents_of_the_modapte_split_in_the_order_of_files() -> None:
    assert from_archive(gzip.compress(packed(MEMBERS))) == {
        "reuters21578-train.txt": b"earn,acq\tr d abc up profit rose reuter\n\trates fall\n",
        "reuters21578-test.txt": b"\thartmarx hmx dividend chicago april\n",
    }


def test_every_story_is_read_with_its_attributes() -> None:
    first, brief = read_sgml(FIRST.encode(), "a")
    assert first[:3] == ("TRAIN", "YES", ("earn", "acq"))
    assert brief == Story("TRAIN", "YES", (), "RATES FALL\n")
    assert [one[:2] for one in read_sgml(SECOND.encode("latin-1"), "b")] == [
        ("TEST", "YES"), ("NOT-USED", "YES"), ("TRAIN", "BYPASS"), ("TEST", "NO"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</REUTERS>\n", "", "document 1, line 2: no </REUTERS> before the next document"),
        (' NEWID="1"', "", "document without NEWID, line 2: <REUTERS> without NEWID"),
        (' LEWISSPLIT="TRAIN"', "", "document 1, line 2: <REUTERS> without LEWISSPLIT"),
        ("</TEXT>", "", "document 1, line 2: no <TEXT>...</TEXT>"),
    ],
)
def test_a_broken_document_is_named_with_its_line(old: str, new: str, message: str) -> None:
    broken = FIRST.replace(old, new, 1)
    with pytest.raises(FormatError, match=f"reut2-000.sgm: {message}"):
        from_archive(packed(MEMBERS | {"reut2-000.sgm": broken.encode()}))


def test_a_truncated_file_is_named_with_its_last_document() -> None:
    line = FIRST.count("\n", 0, FIRST.index('NEWID="2"')) + 1
    with pytest.raises(FormatError, match=f"document 2, line {line}: no </REUTERS> .* truncated"):
        list(read_sgml(FIRST[:-20].encode(), "reut2-000.sgm"))


def test_other_archives_and_files_are_refused() -> None:
    with pytest.raises(FormatError, match=r"no \.sgm files in the archive"):
        from_archive(packed({"README.txt": b"hello"}))
    with pytest.raises(FormatError, match=r"x\.sgm: no <REUTERS> in it"):
        from_archive(packed({"x.sgm": b""}))
