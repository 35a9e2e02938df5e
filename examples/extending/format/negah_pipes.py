"""Captions in files that end in .captions, each line of which reads ``name | sentence``."""

from negah.data.formats import Format, Reading, Record


class Pipes(Format):
    files = ("*.captions",)

    def sniff(self, source):
        return source.suffix == ".captions"

    def read(self, source):
        rows = [line.split(" | ", 1) for line in source.text.splitlines() if " | " in line]
        records = [
            Record(name, [sentence], where=f"line {number}")
            for number, (name, sentence) in enumerate(rows, start=1)
        ]
        folders = [source.folder] if source.folder else []
        return Reading(records, folders, rows=len(rows))


PIPES = Pipes()
