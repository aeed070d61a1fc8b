"""JSON text: what is written as JSON for people and programs, in UTF-8 and without what acts.

Letters stand as they are. What a terminal would obey, and half of a surrogate pair, which UTF-8
cannot hold, is an escape of JSON's: a program reads exactly the text that was there.
"""

import json

from rack_sim.foundation.visible import ACTS


def json_text(content: object, *, indent: int = 2) -> str:
    """Content as JSON, which may stand in a terminal and in any file.

    >>> json_text([chr(0x5d0), chr(0x202E), chr(0xD800)], indent=0).split()
    ['[', '"א",', '"\\\\u202e",', '"\\\\ud800"', ']']
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    return ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
