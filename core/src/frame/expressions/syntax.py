"""What an expression may look like, judged before the CEL library sees it.

The library parses and evaluates by recursion in native code, where too deep an expression would end the
process, and has no budget for what an evaluation costs. So the budgets of docs/reference/expressions.md are
kept here, on the tokens. The same walk finds which fields are named, because only those are handed to CEL, and
puts frame's own functions where the library's differ from CEL (`size`) or have no fixed order (a macro over a
map).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

MAX_CHARACTERS = 2_000
MAX_NODES = 200
MAX_DEPTH = 20
MAX_MACROS = 4
MAX_MACRO_NESTING = 2

MACROS = frozenset(("map", "filter", "all", "exists", "exists_one"))
NATIVE_FUNCTIONS = frozenset(
    (
        *("has", "contains", "startsWith", "endsWith", "matches"),
        *("string", "bytes", "int", "double", "timestamp", "duration", "dyn"),
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
        *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
    )
)
OWN_FUNCTIONS = frozenset(
    ("size", "lower", "upper", "trim", "abs", "min", "max", "round", "floor", "ceil", "coalesce")
)
OWN_NAMES = {"size": "_size"}
"""What an own function is called where the library has one of the same name, which would be taken instead."""

EACH = "_each"
"""The own function that stands before every macro."""

_INSTEAD = {"and": "&&", "or": "||", "not": "!", "None": "null", "True": "true", "False": "false", "is": "=="}
_WORDS = frozenset(("true", "false", "null", "in"))
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_NOT_NODES = frozenset("()[]{},.:")

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<text>
        (?:[rR][bB]?|[bB][rR])(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
        |[bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    )
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+)?\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+(?:[eE][+-]?[0-9]+|[uU])?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||[=!<>]=|[-+*/%!<>?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    at: int


_NOTHING = Token("end", "", -1)


@dataclass(frozen=True, slots=True)
class Syntax:
    """What is known of an expression without evaluating it.

    `rewritten`: what the library is to compile. `fields`: variable -> the fields that are named of it, None if
    it is used as a whole. `copied`: the same, for uses other than as the list that a macro walks.
    `functions`: frame's own ones, by the names that `rewritten` calls. `macros`: how many there are. `joins`:
    how often values are put together, by `+` or in a list.
    """

    rewritten: str
    fields: Mapping[str, tuple[str, ...] | None]
    copied: Mapping[str, tuple[str, ...] | None]
    functions: frozenset[str]
    macros: int
    joins: int


def analyse(source: str, variables: Sequence[str]) -> Syntax:
    """What `source` says, given that it may speak of `variables`. Raises ValueError if it may not be run."""
    if len(source) > MAX_CHARACTERS:
        raise ValueError(f"has {len(source)} characters, and {MAX_CHARACTERS} are the limit")
    tokens = _tokens(source)
    nodes = sum(token.text not in _NOT_NODES for token in tokens)
    if nodes > MAX_NODES:
        raise ValueError(f"has {nodes} names, values and operators, and {MAX_NODES} are the limit")
    if not tokens:
        raise ValueError("is empty")
    _check_depth(tokens)
    return _Walk(source, tokens, tuple(variables)).syntax()


def _tokens(source: str) -> list[Token]:
    tokens, at = [], 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None or match.lastgroup is None:
            raise ValueError(f"has {source[at]!r} at {_where(source, at)}, {_unknown_character(source[at])}")
        if match.lastgroup != "space":
            tokens.append(Token(match.lastgroup, match[0], at))
        at = match.end()
    return tokens


def _unknown_character(character: str) -> str:
    if character in "\"'":
        return "a quote that is not closed"
    if character in "&|=":
        return f"which is written {character * 2}"
    return "which CEL does not have"


def _where(source: str, at: int) -> str:
    """
    >>> _where("a ==\\n  b", 7)
    'line 2, column 3'
    """
    line, column = source.count("\n", 0, at) + 1, at - source.rfind("\n", 0, at)
    return f"line {line}, column {column}" if "\n" in source else f"column {column}"


def _check_depth(tokens: Sequence[Token]) -> None:
    brackets = deepest = signs = 0
    for token in tokens:
        signs = signs + 1 if token.text in ("!", "-") else 0
        if token.kind == "sign" and token.text in _CLOSING:
            brackets += 1
        elif token.kind == "sign" and token.text in _CLOSING.values():
            brackets -= 1
        deepest = max(deepest, brackets + signs)
    choices = sum(token.text == "?" for token in tokens)
    if max(deepest, choices) > MAX_DEPTH:
        raise ValueError(f"is nested {max(deepest, choices)} deep, and {MAX_DEPTH} is the limit")


@dataclass(slots=True)
class _Walk:
    """One pass over the tokens of one expression.

    `scopes` has an entry for each open bracket: the name that a macro binds in it, "" for any other bracket.
    """

    source: str
    tokens: list[Token]
    variables: tuple[str, ...]
    scopes: list[str] = field(default_factory=list)
    fields: dict[str, dict[str, None] | None] = field(default_factory=dict)
    copied: dict[str, dict[str, None] | None] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    macros: int = 0

    def syntax(self) -> Syntax:
        for index, token in enumerate(self.tokens):
            if token.kind == "name" and token.text not in _WORDS:
                self._name(index, token)
            elif token.kind == "sign":
                self._sign(index, token)
        fields, copied = _frozen(self.fields), _frozen(self.copied)
        joins = sum(token.text in ("+", ",") for token in self.tokens) - self.macros
        return Syntax(self._rewritten(), fields, copied, frozenset(self.functions), self.macros, joins)

    def _token(self, index: int) -> Token:
        return self.tokens[index] if 0 <= index < len(self.tokens) else _NOTHING

    def _sign(self, index: int, token: Token) -> None:
        if token.text in _CLOSING:
            self.scopes.append(self._bound_at(index))
            if sum(map(bool, self.scopes)) > MAX_MACRO_NESTING:
                raise ValueError(f"has macros nested more than {MAX_MACRO_NESTING} deep")
        elif token.text in _CLOSING.values() and self.scopes:
            self.scopes.pop()
        before = self._token(index - 1)
        if token.text == "." and before.kind not in ("name", "text") and before.text not in tuple(")]}"):
            raise ValueError(f"has a name that begins with a dot at {_where(self.source, token.at)}")

    def _bound_at(self, index: int) -> str:
        """The name that is bound in the bracket at `index`, "" if it does not belong to a macro."""
        name, dot, bound = self._token(index - 1), self._token(index - 2), self._token(index + 1)
        if self._token(index).text != "(" or name.text not in MACROS or dot.text != ".":
            return ""
        if bound.kind != "name" or bound.text in _WORDS or self._token(index + 2).text != ",":
            raise ValueError(
                f"needs a name and a comma first in {name.text}(...), as in {name.text}(x, x > 0)"
            )
        if bound.text in self.variables:
            raise ValueError(
                f"calls the items of {name.text}(...) {bound.text!r}, which is a variable already"
            )
        return bound.text

    def _name(self, index: int, token: Token) -> None:
        before, after = self._token(index - 1), self._token(index + 1)
        if after.text == "{":
            raise ValueError(f"has a message {token.text}{{...}}, which expressions here do not have")
        if after.text == "(":
            self._function(token, is_method=before.text == ".")
        elif before.text != "." and token.text not in self.scopes:
            self._variable(index, token)

    def _function(self, token: Token, is_method: bool) -> None:
        name = token.text
        if is_method and name in MACROS:
            self.macros += 1
            if self.macros > MAX_MACROS:
                raise ValueError(f"has more than {MAX_MACROS} macros ({', '.join(sorted(MACROS))})")
            self.functions.add(EACH)
            self.edits.append((token.at, token.at, f"{EACH}()."))
        elif name in OWN_FUNCTIONS:
            own = OWN_NAMES.get(name, name)
            self.functions.add(own)
            self.edits.append((token.at, token.at + len(name), own))
        elif name not in NATIVE_FUNCTIONS:
            known = (*NATIVE_FUNCTIONS, *OWN_FUNCTIONS, *MACROS)
            raise ValueError(f"calls {name!r}, which is not a function here{_suggest(name, known)}")

    def _variable(self, index: int, token: Token) -> None:
        name = token.text
        if name in _INSTEAD:
            raise ValueError(
                f"has {name!r} at {_where(self.source, token.at)}: in CEL that is {_INSTEAD[name]}"
            )
        if name not in self.variables:
            hint = f": a field is written {self.variables[0]}.{name}" if len(self.variables) == 1 else ""
            raise ValueError(
                f"names {name!r}, which is not a variable here{_suggest(name, self.variables) or hint}"
            )
        named = self._field_after(index)
        _note(self.fields, name, named)
        if not self._is_walked(index):
            _note(self.copied, name, named)

    def _is_walked(self, index: int) -> bool:
        """Whether the variable at `index` is the beginning of a plain path, and a macro follows the path."""
        while self._token(index + 1).text == "." and self._token(index + 2).kind == "name":
            index += 2
        return self._token(index).text in MACROS and self._token(index + 1).text == "("

    def _field_after(self, index: int) -> str | None:
        """The field that is named of the variable at `index`; None if it is used in any other way."""
        sign, name, after = (self._token(index + step) for step in (1, 2, 3))
        if sign.text == "." and name.kind == "name" and after.text != "(":
            return name.text
        plain = name.kind == "text" and name.text[0] in "\"'" and "\\" not in name.text
        if sign.text == "[" and plain and after.text == "]":
            quotes = 3 if name.text[:3] in ('"""', "'''") else 1
            return name.text[quotes:-quotes]
        return None

    def _rewritten(self) -> str:
        text, done = "", 0
        for start, end, instead in self.edits:
            text += self.source[done:start] + instead
            done = end
        return text + self.source[done:]


def _note(uses: dict[str, dict[str, None] | None], variable: str, named: str | None) -> None:
    """Add to `uses` that `named` is used of `variable`, or all of it."""
    known = uses.setdefault(variable, {})
    if named is None:
        uses[variable] = None
    elif known is not None:
        known[named] = None


def _frozen(uses: dict[str, dict[str, None] | None]) -> dict[str, tuple[str, ...] | None]:
    return {variable: None if names is None else tuple(names) for variable, names in uses.items()}


def _suggest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    if len(known) == 1:
        return meant
    return f"{meant or ';'} There are {', '.join(sorted(known))}"
