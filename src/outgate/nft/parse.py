"""Text of nft back into objects: what `text` writes, and what ``nft list table`` prints of it.

Both ways of listing are read, with names (``tcp``, ``ct state related``) and numeric (``6``, ``0x4``). What
somebody else has put into our table must not stop us from seeing it: a rule that has no words here
becomes one `Opaque` statement, a set or hook of another make gets a declaration that equals none of ours.
Only text that is no table at all is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from outgate.errors import InputError, InvalidInput
from outgate.nft.objects import (
    Chain,
    ChainRule,
    Hook,
    Judgement,
    KeyType,
    NftSet,
    Opaque,
    Ruleset,
    SetKey,
)
from outgate.nft.parse_rule import Word, rule_of, verdict_of
from outgate.nft.spelling import KEY_KIND, PRIORITIES, read_value, unescape

__all__ = ["parse_ruleset"]

_TOKEN = re.compile(r'[ \t\r]+|#[^\n]*|(?P<string>"[^"\n]*")|(?P<mark>[{};,\n])|(?P<word>[^\s{};,"]+)')


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int
    quoted: bool = False


def parse_ruleset(text: str, file: str = "<ruleset>") -> Ruleset:
    """The one table that the text describes.

    Raises:
        InvalidInput: it is not one ``table FAMILY NAME { ... }`` block; says the line.
    """
    return _Reader(text, file).ruleset()


def _tokens(text: str, file: str) -> Iterator[_Token]:
    line, position = 1, 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise InvalidInput([InputError(file, line, "", f"cannot be read as nft text: {text[position]!r}")])
        position = found.end()
        if found["string"] is not None:
            yield _Token(found["string"][1:-1], line, quoted=True)
        elif found["mark"] is not None or found["word"] is not None:
            yield _Token(found[0], line)
        if found[0] == "\n":
            line += 1


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.tokens = [*_tokens(text, file), _Token("\n", text.count("\n") + 1)]
        self.file = file
        self.at = 0
        self.chains: dict[str, Chain] = {}
        self.sets: dict[str, NftSet] = {}

    def fail(self, message: str) -> InvalidInput:
        line = self.tokens[min(self.at, len(self.tokens) - 1)].line
        return InvalidInput([InputError(self.file, line, "", message)])

    def next_word(self, wanted: str = "") -> str:
        """The next token that does not end a line."""
        while self.at < len(self.tokens) and self.tokens[self.at].text in ("\n", ";"):
            self.at += 1
        if self.at == len(self.tokens):
            raise self.fail(f"the text ends where {wanted or 'more'} is expected")
        text = self.tokens[self.at].text
        if wanted and text != wanted:
            raise self.fail(f"{wanted!r} is expected, not {text!r}")
        self.at += 1
        return text

    def rest_of_line(self) -> list[_Token]:
        """The tokens up to the end of the line or a semicolon, braces and what is in them as one line."""
        depth, line = 0, []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if not token.quoted:
                depth += {"{": 1, "}": -1}.get(token.text, 0)
                if depth < 0 or (depth == 0 and token.text in ("\n", ";")):
                    break
            self.at += 1
            if token.text != "\n":
                line.append(token)
        return line

    def lines(self) -> Iterator[list[_Token]]:
        """The lines of a block, up to and past its closing brace."""
        while True:
            word = self.next_word()
            if word == "}":
                return
            self.at -= 1
            yield self.rest_of_line()

    def ruleset(self) -> Ruleset:
        self.next_word("table")
        family, table = self.next_word(), self.next_word()
        self.next_word("{")
        while (word := self.next_word()) != "}":
            if word in ("set", "map"):
                self.read_set(is_map=word == "map")
            elif word == "chain":
                self.read_chain()
            elif word in ("comment", "flags"):
                self.rest_of_line()
            else:
                self.read_foreign(word)
        while self.at < len(self.tokens):
            if self.tokens[self.at].text not in ("\n", ";"):
                raise self.fail("one table is expected, and nothing after it")
            self.at += 1
        return Ruleset(chains=self.chains, sets=self.sets, family=family, table=table)

    def read_foreign(self, kind: str) -> None:
        """A counter, quota, flow table or the like, kept as a set that is none of ours."""
        name = f"{kind} {self.next_word()}"
        self.rest_of_line()
        self.sets[name] = NftSet(name, ())

    def read_chain(self) -> None:
        chain = Chain(self.next_word())
        self.next_word("{")
        rules: list[ChainRule] = []
        for line in self.lines():
            words = [Word(token.text, token.quoted) for token in line]
            match [word.text for word in words[:2]]:
                case ["type", _]:
                    chain = replace(chain, hook=_hook([word.text for word in words]))
                case ["policy", policy]:
                    if policy != "accept" and chain.hook is not None:
                        chain = replace(chain, hook=replace(chain.hook, hook=f"{chain.hook.hook} policy {policy}"))
                case ["comment", _] if words[1].quoted and len(words) == 2:
                    continue
                case _:
                    rules.append(_rule(words))
        self.chains[chain.name] = replace(chain, rules=tuple(rules))

    def read_set(self, *, is_map: bool) -> None:
        name = self.next_word()
        self.next_word("{")
        one = NftSet(name, (), is_map=is_map)
        foreign, elements = False, None
        for line in self.lines():
            match [token.text for token in line]:
                case ["type", *kinds]:
                    one = replace(one, key=_key_types(kinds, is_map=is_map))
                case ["flags", "interval"]:
                    one = replace(one, interval=True)
                case ["flags", "timeout"]:
                    one = replace(one, timeout=True)
                case ["comment", comment]:
                    one = replace(one, comment=unescape(comment))
                case ["elements", "=", "{", *_, "}"]:
                    elements = line[3:-1]
                case _:
                    foreign = True
        try:
            held = dict(_elements(one, elements)) if elements is not None and not one.timeout else {}
        except ValueError:
            foreign, held = True, {}
        self.sets[name] = replace(one, key=() if foreign else one.key, elements=held)


def _rule(words: Sequence[Word]) -> ChainRule:
    try:
        return rule_of(words)
    except ValueError:
        return ChainRule((Opaque(" ".join(f'"{word.text}"' if word.quoted else word.text for word in words)),))


def _hook(words: Sequence[str]) -> Hook:
    """``type filter hook forward priority raw - 10``; one of another type gets a hook that equals none of ours."""
    try:
        kind, hook = words[1], words[words.index("hook") + 1]
        level = "".join(words[words.index("priority") + 1 :])
        found = re.fullmatch(r"([a-z]*)([+-]?\d+)?", level)
        if found is None or kind not in ("filter", "nat", "route") or words[2:5:2] != ["hook", "priority"]:
            raise ValueError(level)
        return Hook(hook, PRIORITIES[found[1]] + int(found[2] or 0) if found[1] else int(level), kind)
    except (ValueError, KeyError, IndexError):
        return Hook(" ".join(words), 0)


def _key_types(words: Sequence[str], *, is_map: bool) -> tuple[KeyType, ...]:
    kinds, colon, value = " ".join(words).partition(" : ")
    if bool(colon) != is_map or (is_map and value != "verdict"):
        return ()
    try:
        return tuple(KeyType(kind) for kind in kinds.split(" . "))
    except ValueError:
        return ()


def _elements(one: NftSet, tokens: Sequence[_Token]) -> Iterator[tuple[SetKey, Judgement | None]]:
    start = 0
    for index, token in enumerate((*tokens, _Token(",", 0))):
        if token.text == "," and not token.quoted:
            yield _element(one, tokens[start:index])
            start = index + 1


def _element(one: NftSet, tokens: Sequence[_Token]) -> tuple[SetKey, Judgement | None]:
    words = [token.text for token in tokens]
    width = 2 * len(one.key) - 1
    if words[1:width:2] != ["."] * (len(one.key) - 1) or not one.key:
        raise ValueError(words)
    key = tuple(read_value(KEY_KIND[kind], word) for kind, word in zip(one.key, words[:width:2], strict=True))
    rest = words[width:]
    if rest[:1] == ["comment"]:
        rest = rest[2:]
    if not one.is_map:
        if rest:
            raise ValueError(words)
        return key, None
    if rest[:1] != [":"]:
        raise ValueError(words)
    return key, verdict_of(rest[1:])
