"""The description in a packet of XMP (ISO 16684-1), read and written without touching the rest.

A packet is not serialised again: a parser finds the positions of what is changed, and only those
bytes are replaced. Negah's own data is in a separate description, whose namespace records what
Negah wrote and with which model, so that later runs recognise it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

#: Provenance of what Negah wrote.
NEGAH = "https://pypi.org/project/negah/xmp/1.0/"
_DC = "http://purl.org/dc/elements/1.1/"
_IPTC = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP = "http://ns.adobe.com/xap/1.0/"
_XML = "http://www.w3.org/XML/1998/namespace"

#: The description, and the alternative text.
DESCRIPTION, ALT_TEXT = f"{_DC} description", f"{_IPTC} AltTextAccessibility"
_OWN_TEXT, _OWN_ALT, _MODEL = f"{NEGAH} Text", f"{NEGAH} AltText", f"{NEGAH} Model"
#: More than this is no packet of a photo.
_MOST_BYTES = 16 << 20
_DEEPEST = 100
#: Of the item that holds for readers of any language (ISO 16684-1, 8.2.2.4).
_NO_LANGUAGE = "x-default"
_TAG_END = re.compile(rb"""(?:[^>"']|"[^"]*"|'[^']*')*>""")
#: A language as RFC 3066 names it.
_TAG = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class XmpError(ValueError):
    """A packet that cannot be read or changed safely; the message is a clause with the reason."""


@dataclass(slots=True)
class _LanguageAlternative:
    """A property in several languages.

    Attributes:
        value: in the default language, otherwise in the first.
        content: start and end of the value; None if there is no default language.
        items: position for another language; -1 if there is none.
        after: position for another language after the default one.
        languages: text, start and end in each other language, by its lower-case tag.
    """

    value: str = ""
    content: tuple[int, int] | None = None
    items: int = -1
    after: int = -1
    languages: dict[str, tuple[str, tuple[int, int]]] = field(default_factory=dict)


def is_language_tag(text: str) -> bool:
    """Whether a text is a language tag of XMP, such as "fa" or "pt-BR", except x-default."""
    return _TAG.fullmatch(text) is not None and text.lower() != _NO_LANGUAGE


@dataclass(frozen=True, slots=True)
class Written:
    """The data that Negah writes into a file.

    Attributes:
        description: the text.
        alt: the alternative text.
        model: name of the captioner; "" for text written by a person.
        software: "Negah" and its version.
        date: in the format of ISO 8601.
        language: RFC 3066 tag of the texts, which are then also written under this tag; "" for
            none.

    Raises:
        ValueError: the language tag cannot be written.
    """

    description: str
    alt: str
    model: str
    software: str
    date: str
    language: str = ""

    def __post_init__(self) -> None:
        if self.language and not is_language_tag(self.language):
            raise ValueError(f'{self.language!r} names no language, as "fa" or "pt-BR" do')


class Packet:
    """An XMP packet and its description of the photo.

    Args:
        content: all bytes of the packet, UTF-8.

    Raises:
        XmpError: it is damaged, not UTF-8, hostile, or has an unsupported form.
    """

    def __init__(self, content: bytes) -> None:
        if len(content) > _MOST_BYTES:
            raise XmpError(f"its XMP has {len(content):,} bytes, more than {_MOST_BYTES:,}")
        self.content = content
        # Padding behind the end, and a byte order mark before the beginning, are no XML.
        self._skip = content.find(b"<")
        self._texts: dict[str, _LanguageAlternative] = {}
        self._values: dict[str, str] = {}
        self._names: list[str] = []
        self._lang = ""
        self._data: list[str] = []
        self._start = 0
        self._end = -1
        self._about = ""
        self._parse()

    def _parse(self) -> None:
        body = self.content[self._skip :].rstrip(b"\0 \t\r\n")
        if self._skip < 0 or b"<!DOCTYPE" in body or b"<!ENTITY" in body:
            raise XmpError("its XMP is no plain XMP")
        self._parser = parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._finish
        parser.CharacterDataHandler = self._data.append
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            raise XmpError(f"its XMP is damaged ({error})") from None
        if self._end < 0:
            raise XmpError("its XMP is damaged (it has no rdf:RDF that ends)")

    def _at(self) -> int:
        return self._parser.CurrentByteIndex + self._skip

    def _tag_end(self) -> int:
        found = _TAG_END.match(self.content, self._at())
        if found is None:
            raise XmpError("its XMP is damaged (a tag does not end)")
        return found.end()

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._names) >= _DEEPEST:
            raise XmpError("its XMP is nested too deeply")
        self._names.append(name)
        self._data.clear()
        if name == f"{_RDF} Description" and self._names[-2:-1] == [f"{_RDF} RDF"]:
            self._about = attributes.get(f"{_RDF} about", self._about)
            for key, value in attributes.items():
                if key in (DESCRIPTION, ALT_TEXT):
                    raise XmpError("its XMP has the description in a form that is not understood")
                self._values[key] = value
        if name in (DESCRIPTION, ALT_TEXT):
            if name in self._texts:
                raise XmpError("its XMP has the description twice")
            self._texts[name] = _LanguageAlternative()
        if name == f"{_RDF} Alt" and (text := self._property()) is not None:
            text.items = self._tag_end()
            if self.content[text.items - 2 : text.items] == b"/>":
                raise XmpError("its XMP has the description in a form that is not understood")
        if name == f"{_RDF} li":
            self._lang = attributes.get(f"{_XML} lang", "")
            self._start = self._tag_end()

    def _property(self) -> _LanguageAlternative | None:
        names = [name for name in self._names if name in self._texts]
        return self._texts[names[-1]] if names else None

    def _finish(self, name: str) -> None:
        self._names.pop()
        text = self._property()
        if name == f"{_RDF} RDF":
            if self.content[self._at() : self._at() + 2] != b"</":
                raise XmpError("its XMP is damaged (its rdf:RDF is empty)")
            self._end = self._at()
        elif name == f"{_RDF} li" and text is not None:
            value = "".join(self._data)
            if self._at() < self._start:
                raise XmpError("its XMP has the description in a form that is not understood")
            place = self._start, self._at()
            if self._lang == _NO_LANGUAGE:
                text.value, text.content = value, place
                text.after = self._tag_end()
            else:
                text.languages[self._lang.lower()] = value, place
                text.value = text.value or value
        elif name in self._texts:
            found = self._texts[name]
            if found.items < 0:
                raise XmpError("its XMP has the description in a form that is not understood")
        elif self._names[-2:] == [f"{_RDF} RDF", f"{_RDF} Description"]:
            self._values[name] = "".join(self._data)
        self._data.clear()

    @property
    def description(self) -> str:
        """The description in the default language; "" for none."""
        return self._texts[DESCRIPTION].value if DESCRIPTION in self._texts else ""

    @property
    def alt(self) -> str:
        """The alternative text; "" for none."""
        return self._texts[ALT_TEXT].value if ALT_TEXT in self._texts else ""

    def in_language(self, tag: str) -> tuple[str, str]:
        """Description and alternative text under the tag of a language; "" for none."""
        found = [
            self._texts[name].languages.get(tag.lower(), ("",))[0] if name in self._texts else ""
            for name in (DESCRIPTION, ALT_TEXT)
        ]
        return (found[0], found[1]) if tag else ("", "")

    @property
    def own_texts(self) -> tuple[str, str]:
        """Description and alternative text last written by Negah; "" for none."""
        return self._values.get(_OWN_TEXT, ""), self._values.get(_OWN_ALT, "")

    @property
    def model(self) -> str:
        """The model that wrote last; "" for none."""
        return self._values.get(_MODEL, "")

    @property
    def is_own(self) -> bool:
        """Whether both texts were written by Negah and not changed since."""
        return any(self.own_texts) and self.own_texts == (self.description, self.alt)

    def write(
        self, new: Written, own: Written, previous: str = "", named: tuple[str, str] | None = None
    ) -> bytes:
        """The packet with these texts; all other bytes are unchanged.

        Args:
            new: the texts to write, which may include a person's text.
            own: the part written by Negah.
            previous: replaced texts to be kept.
            named: description and alternative text under the tag of the language, if they
                differ.

        Raises:
            XmpError: the packet has provenance of Negah in an unknown form.
        """
        edits: list[tuple[int, int, bytes]] = []
        block = ""
        tag, in_tag = new.language, named or (new.description, new.alt)
        for name, prefix, value, value_in_tag in (
            (DESCRIPTION, "dc:description", new.description, in_tag[0]),
            (ALT_TEXT, "Iptc4xmpCore:AltTextAccessibility", new.alt, in_tag[1]),
        ):
            text = self._texts.get(name)
            printed = _printed(value)
            item = _item(_printed(value_in_tag), tag, own=text is not None) if tag else ""
            if text is None:
                block += f"<{prefix}><rdf:Alt>{_item(printed)}{item}</rdf:Alt></{prefix}>"
                continue
            if tag and tag.lower() in text.languages:
                place = text.languages[tag.lower()][1]
                edits.append((*place, _printed(value_in_tag).encode()))
                item = ""
            if text.content is not None:
                edits.append((*text.content, printed.encode()))
                edits.append((text.after, text.after, item.encode()))
            else:
                items = _item(printed, own=True) + item
                edits.append((text.items, text.items, items.encode()))
        if f"{_XMP} CreatorTool" not in self._values:
            block += f"<xmp:CreatorTool>{_printed(new.software)}</xmp:CreatorTool>"
        kept = "\n".join(
            dict.fromkeys(filter(None, (self._values.get(f"{NEGAH} Previous"), previous)))
        )
        provenance = {"Text": own.description, "AltText": own.alt, "Model": own.model}
        provenance |= {"Software": own.software, "Date": own.date}
        provenance |= {"Previous": kept}
        ours = "".join(
            f"<negah:{key}>{_printed(value)}</negah:{key}>"
            for key, value in provenance.items()
            if value
        )
        earlier = self._own_places()
        if earlier:  # in the same place, so that a file does not grow from run to run
            edits.append((*earlier[0], ours.encode()))
            edits += [(start, end, b"") for start, end in earlier[1:]]
        else:
            block += ours
        if block:
            edits.append((self._end, self._end, _description(self._about, block).encode()))
        content = self.content
        for start, end, data in sorted(edits, reverse=True):
            content = content[:start] + data + content[end:]
        return content

    def _own_places(self) -> list[tuple[int, int]]:
        """Positions of Negah's earlier provenance, which consists of plain elements."""
        if not any(name.startswith(NEGAH) for name in self._values):
            return []
        found = [match.span() for match in _OWN.finditer(self.content)]
        if not found:
            raise XmpError("its XMP has been rewritten by another program since Negah wrote it")
        return found


# As Negah writes them; another program may choose another prefix or attributes.
_OWN = re.compile(rb"<negah:(Text|AltText|Model|Software|Date|Previous)>[^<]*</negah:\1>")


def xml_text(text: str) -> str:
    """The text as read back from XML: uniform line ends, no control characters."""
    return _NOT_XML.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def _printed(text: str) -> str:
    return escape(xml_text(text))


def _item(printed: str, language: str = _NO_LANGUAGE, *, own: bool = False) -> str:
    namespace = f' xmlns:rdf="{_RDF}"' if own else ""
    return f'<rdf:li{namespace} xml:lang="{language}">{printed}</rdf:li>'


def _description(about: str, block: str) -> str:
    return (
        f'<rdf:Description xmlns:rdf="{_RDF}" rdf:about={quoteattr(about)} xmlns:dc="{_DC}"'
        f' xmlns:xmp="{_XMP}" xmlns:Iptc4xmpCore="{_IPTC}" xmlns:negah="{NEGAH}">{block}'
        "</rdf:Description>\n"
    )


#: A packet that says nothing.
EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">\n</rdf:RDF></x:xmpmeta>\n'
    '<?xpacket end="w"?>'
).encode()
