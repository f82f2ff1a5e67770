"""What people write as a rule, checked whole: a message per field, with what was expected, what came, what to do."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from headwater.model.errors import BadFields, Fault
from headwater.model.rule import Draft, RuleFile

_Noun = TypeVar("_Noun", Draft, RuleFile)


def checked(kind: type[_Noun], data: Any) -> _Noun:
    """`data` (as JSON or YAML gives it) as a rule, or as a file of rules. Raises `BadFields` with every fault found."""
    faults: list[Fault] = []
    made = _made(kind, data, "", faults)
    if isinstance(made, RuleFile):
        times = Counter(one.rule for one in made.rules)
        faults += [
            Fault(f"rules[{at}].rule", f"expected each id once, got {one.rule!r} {times[one.rule]} times; rename one")
            for at, one in enumerate(made.rules)
            if times[one.rule] > 1
        ]
    if faults or not isinstance(made, kind):
        raise BadFields(faults)
    return made


def _made(kind: Any, data: Any, at: str, faults: list[Fault]) -> Any:
    """`data` as `kind`. What cannot be made is among the faults, and None stands in its place."""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
        return _struct(plain, data, at, faults)
    if isinstance(plain, UnionType) and all(_tagged(one) for one in get_args(plain)):
        return _one_of({one.__struct_config__.tag: one for one in get_args(plain)}, data, at, faults)
    if get_origin(plain) is list and isinstance(data, list):
        before, item = len(faults), get_args(plain)[0]
        data = [_made(item, one, f"{at}[{n}]", faults) for n, one in enumerate(data)]
        if len(faults) > before:
            return None
    if isinstance(data, str) and not data.replace("\n", " ").replace("\t", " ").isprintable():
        faults.append(Fault(at, f"expected text without control characters, got {_shown(data)}; leave them out"))
        return None
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        faults.append(Fault(at, _told(str(error), plain, data)))
        return None


def _tagged(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _one_of(kinds: dict[str, Any], data: Any, at: str, faults: list[Fault]) -> Any:
    if not isinstance(data, dict):
        faults.append(
            Fault(at, f"expected fields, the kind ({', '.join(kinds)}) among them, got {_shown(data)}; give them")
        )
        return None
    name = data.get("kind")
    if not isinstance(name, str) or name not in kinds:
        came = _shown(name) if "kind" in data else "nothing"
        wanted = f"expected one of {', '.join(kinds)}, got {came}; {_near(str(name), kinds)}"
        faults.append(Fault(_join(at, "kind"), wanted))
        return None
    return _struct(kinds[name], {key: value for key, value in data.items() if key != "kind"}, at, faults)


def _struct(kind: type[msgspec.Struct], data: Any, at: str, faults: list[Fault]) -> Any:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    names = ", ".join(fields)
    if not isinstance(data, dict):
        faults.append(Fault(at, f"expected fields ({names}), got {_shown(data)}; give them"))
        return None
    before, hints, values = len(faults), get_type_hints(kind, include_extras=True), {}
    for name in data:
        if name not in fields:
            faults.append(
                Fault(
                    _join(at, str(name)[:80]),
                    f"expected one of {names}, got {_shown(name)}; {_near(str(name), fields)}",
                )
            )
    for name, field in fields.items():
        if name in data:
            values[name] = _made(hints[name], data[name], _join(at, name), faults)
        elif field.required:
            faults.append(Fault(_join(at, name), f"expected {name}{_about(hints[name])}, got nothing; give it"))
    if len(faults) > before:
        return None
    try:
        return kind(**values)
    except ValueError as error:
        faults.append(Fault(at, str(error)))
        return None


def _told(error: str, plain: Any, data: Any) -> str:
    """msgspec's message in the form of the house."""
    if get_origin(plain) is Literal:
        return f"expected one of {', '.join(get_args(plain))}, got {_shown(data)}; {_near(str(data), get_args(plain))}"
    wanted = re.sub(r", got .*| - at `.*", "", error).replace("`", "").replace("Expected", "expected")
    wanted = _WORD.sub(lambda found: _WORDS[found[0]], wanted)
    came = f"{len(data)} entries" if isinstance(data, list) else _shown(data)
    advice = "put quotes around it" if plain is str and not isinstance(data, str) else "change it"
    return f"{wanted}, got {came}; {advice}"


_WORDS = {
    "str": "text",
    "float": "number",
    "int": "whole number",
    "bool": "true or false",
    "array": "list",
    "null": "null",
}
_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b")


def _about(hint: Any) -> str:
    says = [meta.description for meta in getattr(hint, "__metadata__", ()) if getattr(meta, "description", None)]
    return f" ({says[0]})" if says else ""


def _join(at: str, name: Any) -> str:
    return f"{at}.{name}" if at else str(name)


def _shown(data: Any) -> str:
    text = ascii(data) if isinstance(data, str) and not data.isprintable() else repr(data)
    return text if len(text) <= 80 else text[:77] + "..."


def _near(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name[:80], list(known), 1, 0.5)
    return f"did you mean {found[0]}?" if found else "choose one of them"
