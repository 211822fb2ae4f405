"""A page of HTML, read."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "input", "img", "br", "wbr"}


class Page(HTMLParser):
    """Checks nesting and collects sections, addresses and the text of marked cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sections: list[str] = []
        self.addresses: list[str] = []
        self.alternatives: list[str | None] = []
        self.best: list[str] = []
        self._in_best = False
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.sections.append(found["id"])
        if tag == "img":
            self.alternatives.append(found.get("alt"))
        self.addresses += [v for k, v in attributes if k in ("src", "href", "xlink:href", "srcset", "action") and v]
        self._in_best = found.get("class") == "best"

    def handle_startendtag(self, tag, attributes):
        self.addresses += [v for k, v in attributes if k in ("src", "href", "xlink:href") and v]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self._in_best:
            self.best.append(data)
            self._in_best = False
