"""Words are runs of a-z; files of documents give back the words they were made of."""

from __future__ import annotations

from nvil_repro.data.text import read_documents, words, write_documents


def test_words_are_runs_of_the_letters_a_to_z() -> None:
    assert words("Don't PANIC: x86_64, na\xefve\tcaf\xe9\n\xa0End") == [
        "don", "t", "panic", "x", "na", "ve", "caf", "end",
    ]  # fmt: skip
    assert words("1993 -- ?!") == []


def test_documents_are_lines() -> None:
    content = write_documents([("sci.space", "Two\nlines\tof text"), ("misc", "..."), ("", "a  b")])
    assert content == b"sci.space\ttwo lines of text\nmisc\t\n\ta b\n"
    assert list(read_documents(content)) == [["two", "lines", "of", "text"], [], ["a", "b"]]
