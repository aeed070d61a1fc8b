"""Visible: text of others with nothing hidden in it that a terminal, a page or a file would obey.

Names, cells of traces and paths may hold anything. What has no shape of its own but acts (escape
sequences, C0 and C1 controls, line and paragraph separators, orders to write from right to left,
half of a surrogate pair, what XML forbids) is written out as Python writes it: ``\\x1b``.
Letters of every script, emoji and the joiners in them stay as they are.
"""

import re

# Each of them is one character of 16 bits.
ACTS = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls; a tab and an end of line are left
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # directions: UAX 9, explicit formatting
    "\u2028\u2029"  # ends of lines and paragraphs
    "\ufeff\ufff9-\ufffb\ufffe\uffff"  # marks of byte order and annotations; no characters
    "\ud800-\udfff"
    "]"
)

_WORD_MAX, _WORD_SHOWN, _TEXT_SHOWN = 400, 120, 2000
_LONG_WORD = re.compile(rf"\S{{{_WORD_MAX},}}")


def visible(text: str) -> str:
    """The text with everything written out that would act and not be seen; lines stay.

    >>> visible("an escape \\x1b[31m, a newline\\nand \\u05d0")
    'an escape \\\\x1b[31m, a newline\\nand \\u05d0'
    """
    if text.isascii() and text.isprintable():
        return text
    return ACTS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def on_one_line(text: str) -> str:
    """The text as `visible` has it, ends of lines and tabs written out, too.

    >>> on_one_line("two\\nlines")
    'two\\\\nlines'
    """
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def in_brief(text: str) -> str:
    """The text as a person may read it: of words longer than any path their two ends.

    Whole texts of others are cut likewise, at a length that no sentence of ours has.

    >>> in_brief("seed=" + "1" * 60_000 + " is no number")[-20:], len(in_brief("x" * 60_000))
    ('1111111 is no number', 120)
    """
    cut = _LONG_WORD.sub(lambda found: shortened(found[0], _WORD_SHOWN), text)
    return shortened(cut, _TEXT_SHOWN)


def shortened(text: str, characters: int) -> str:
    """Text of at most so many characters: its begin and its end, as names differ in either.

    >>> shortened("a-very-long-name-7", 11), shortened("short", 11)
    ('a-ver…ame-7', 'short')
    """
    if len(text) <= characters:
        return text
    tail = (characters - 1) // 2
    return f"{text[: characters - 1 - tail]}…{text[len(text) - tail :]}"
