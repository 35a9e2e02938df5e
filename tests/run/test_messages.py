"""What pages say, in the language of their captions: every message is translated, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from common import REPOSITORY
from negah.text import language_of

SOURCE = REPOSITORY / "src" / "negah"
PERSIAN = language_of("fa")
SCRIPTS = sorted((SOURCE / "serve" / "page").glob("*.js"))
#: Calls with a message: the second argument of put, the first of the others.
CALLS = (r'put\((?:[^()]|\([^()]*\))*?, "([^"]+)"', r'say(?:ing)?\("([^"]+)"')
#: Messages that the code puts together: the nine places of a picture.
PLACES = {"left", "middle", "right"} | {
    f"{row} {column}" for row in ("upper", "lower") for column in ("left", "middle", "right")
}


class Said(HTMLParser):
    """The messages of an element that says what of it are some."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._reads = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        names = (given.get("data-say") or "").split()
        self._reads = "text" in names
        self.found += [given[name] or "" for name in names if name != "text"]

    def handle_data(self, data: str) -> None:
        if self._reads:
            self.found.append(data)
        self._reads = False


def of_the_code(path: Path) -> Iterator[str]:
    """What ``say`` is called with, or the variable whose text it is given."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            texts.setdefault(ast.unparse(node.targets[0]), []).append(str(node.value.value))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        if name not in ("say", "_said") or not node.args:
            continue
        given = node.args[1 if name == "_said" else 0]
        if isinstance(given, ast.Constant):
            yield str(given.value)
        elif isinstance(given, ast.Name):
            yield from texts.get(given.id, ())


def messages() -> set[str]:
    page = Said()
    page.feed((SOURCE / "serve" / "page" / "index.html").read_text(encoding="utf-8"))
    found = set(page.found) | PLACES
    for path in SCRIPTS:
        script = path.read_text(encoding="utf-8")
        for call in (
            *CALLS,
            r'said = failed \? "([^"]+)"',
            r'said = failed \? "[^"]+" : "([^"]+)"',
        ):
            found |= set(re.findall(call, script))
    for path in (SOURCE / "evidence" / "page.html", SOURCE / "cli" / "contact_sheet.html"):
        found |= set(re.findall(r"\{\{(.+?)\}\}(?!\})", path.read_text(encoding="utf-8")))
    for name in ("page", "words", "overlay", "filmstrip"):
        found |= set(of_the_code(SOURCE / "evidence" / f"{name}.py"))
    found |= set(re.findall(r'Bar\("(\w+)"', (SOURCE / "evidence" / "sheet.py").read_text()))
    found |= {"the frame at {time}"}
    found |= {"all of it is seen with a probability of {share}", "Caption", "By words:", "Instead:"}
    return found - {"page"}


def test_every_message_is_translated_and_no_other() -> None:
    assert set(PERSIAN.messages) == messages()


def test_translations_are_whole_and_spelled_as_persian_is() -> None:
    for message, translation in PERSIAN.messages.items():
        names = re.compile(r"\{(\w+)\}")
        assert sorted(names.findall(translation)) == sorted(names.findall(message)), message
        plain = names.sub("واژه", translation)
        assert re.search("[\u0600-\u06ff]", plain), message
        assert PERSIAN.normalise(plain) == plain, message
        assert not re.search("[0-9%,;?]", plain), message


def test_numbers_are_put_in_as_readers_write_them() -> None:
    assert PERSIAN.say("{done} of {all} done", done=3, all=50) == "۳ از ۵۰ انجام شد"
    assert (
        PERSIAN.say("Note: {warning}.", warning="only 3 of 5 rows") == "یادآوری: only 3 of 5 rows."
    )
    assert PERSIAN.say("no message of ours") == "no message of ours"
    assert language_of("en").say("{done} of {all} done", done=3, all=50) == "3 of 50 done"
