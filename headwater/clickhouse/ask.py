"""What a request asks for: the statement, the data beside it, the settings and parameters of this request alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

TRANSPORT = frozenset(
    {
        "query",
        "database",
        "user",
        "password",
        "default_format",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "wait_end_of_query",
        "buffer_size",
        "compress",
        "decompress",
        "quota_key",
        "role",
        "enable_http_compression",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
    }
)
"""Parameters of the interface that are no settings of the engine, or have no meaning here."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INSERT = re.compile(
    rb"""\s*(?P<into>insert\s+into\s+(?:table\s+)?[\w.`"]+\s*(?:\([^)]*\)\s*)?)
    (?P<settings>settings\s[^;]*?)?\bformat\s+(?P<format>\w+)[ \t]*(?:;[ \t]*)?(?:\r?\n|$|[ \t])""",
    re.I | re.X | re.S,
)


class BadAsk(Exception):
    """A request that cannot be served as it stands. `code` is ClickHouse's number for it."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {text} ({name})")
        self.code = code


@dataclass(frozen=True)
class Ask:
    """One statement. For an insert with data beside it, `skip` says how many bytes of the body are the statement."""

    statement: str
    database: str = ""
    form: str = "TabSeparated"
    """Format of the answer, unless the statement names one."""
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    skip: int | None = None
    settings_clause: str = ""
    data_format: str = ""

    @property
    def has_data(self) -> bool:
        """True if the body, from `skip` on, is what the insert takes in."""
        return self.skip is not None

    def reading(self, path: str) -> str:
        """The insert, with its data in the file at `path` (a name of ours: it needs no escapes)."""
        return f"{self.statement} from infile '{path}' {self.settings_clause} format {self.data_format}"


def ask_of(parameters: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Ask:
    """The request with these query parameters, headers (any case) and (the beginning of) this body, decompressed.

    Raises `BadAsk` for what this server does not know.
    """
    query = parameters.get("query", "").encode()
    common = {
        "database": parameters.get("database") or headers.get("x-clickhouse-database", ""),
        "form": parameters.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated",
        "settings": {name: value for name, value in parameters.items() if _is_setting(name)},
        "parameters": {name[6:]: value for name, value in parameters.items() if name.startswith("param_")},
    }
    insert = _INSERT.match(query or body)
    if insert and (insert["format"].lower() != b"values"):
        return Ask(
            statement=insert["into"].decode(),
            skip=0 if query else insert.end(),
            settings_clause=(insert["settings"] or b"").decode(),
            data_format=insert["format"].decode(),
            **common,  # type: ignore[arg-type]
        )
    whole = b"\n".join(part for part in (query, body) if part)
    try:
        return Ask(statement=whole.decode(), **common)  # type: ignore[arg-type]
    except UnicodeDecodeError as error:
        raise BadAsk(62, "SYNTAX_ERROR", f"expected a statement in UTF-8, got {whole[:80]!r}: {error}") from None


def _is_setting(name: str) -> bool:
    if name in TRANSPORT or name.startswith("param_"):
        return False
    if not _NAME.fullmatch(name):
        raise BadAsk(115, "UNKNOWN_SETTING", f"expected the name of a setting, got {name[:80]!r}")
    return True
