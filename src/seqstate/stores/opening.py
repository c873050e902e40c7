"""A store by its URL."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from seqstate.errors import ArgumentError, message
from seqstate.stores.store import DURABILITIES, Store

WHERE = "open_store"
_REDIS = ("redis", "rediss", "unix")
_EXPECTED = (
    'Pass "sqlite:///states.db" (a file here), "sqlite:////var/lib/states.db" (a full path), '
    '"redis://localhost:6379/0", or None to keep states in memory.'
)


def open_store(
    url: str | Store | None = None, durability: str | None = None, create: bool = True
) -> Store:
    """Open the store that a URL names.

    - None or `"memory:"`: in memory, gone with the process.
    - `"sqlite:///path"`: a file; with `?durability=full` and `?timeout=60` (seconds).
    - `"redis://host:port/database"`, `"rediss://..."`, `"unix://..."`: a Redis server; with
      `?prefix=plant-7:` and what redis-py takes.

    Args:
        url: of the store, or a store, which comes back as it is.
        durability: "full", "normal" or "none": what a write that returned survives; see
            `SQLiteStore` and `RedisStore`. By default what the URL says, else "normal".
        create: whether a new file may be made.

    Returns:
        The store; also a context manager that closes it.

    Raises:
        ArgumentError: a URL or a durability that can't be used.
        DataError: the file is no store.
        StoreError: the store can't be reached.
        MissingPackageError: the package redis is not installed.

    Example:
        >>> with open_store() as store:
        ...     store.put_many([("a", b"state of a", 0)])
        [1]
    """
    if durability is not None and durability not in DURABILITIES:
        raise _wrong(
            f"durability is {durability!r}; expected one of {', '.join(DURABILITIES)}.",
            'Leave it out for "normal".',
        )
    if url is not None and not isinstance(url, str):
        if not isinstance(url, Store):
            raise _wrong(f"the URL is {url!r:.80}, a {type(url).__name__}.", _EXPECTED)
        if durability is not None:
            raise _wrong(
                "durability can't be changed on a store that is open.",
                "Pass it when you open the store, or pass the URL.",
            )
        return url
    scheme, path, options = _parts("memory:" if url is None else url)
    asked = options.pop("durability", None)
    if asked is not None and (asked not in DURABILITIES or durability not in (None, asked)):
        raise _wrong(
            f"the URL says durability={asked}; expected one of {', '.join(DURABILITIES)}, and "
            "the same as the argument.",
            "Say it once.",
        )
    durability = durability or asked
    if scheme == "memory":
        return _memory(options, durability)
    if scheme == "sqlite":
        return _sqlite(path, options, durability or "normal", create)
    return _redis(path, options, durability or "normal")


def _parts(url: str) -> tuple[str, str, dict[str, str]]:
    """Give the kind of store, where it is, and its options."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme == "memory" and not parts.netloc + parts.path:
        return "memory", "", options
    if parts.scheme == "sqlite":
        if parts.netloc or len(parts.path) < 2 or parts.path.endswith("/"):
            raise _wrong(f"the URL {url!r} names no file: three slashes come first.", _EXPECTED)
        return "sqlite", unquote(parts.path[1:]), options
    if parts.scheme in _REDIS and (parts.netloc or parts.path):
        return "redis", url.partition("?")[0], options
    raise _wrong(f"the URL {url!r} is of no known kind.", _EXPECTED)


def _memory(options: dict[str, str], durability: str | None) -> Store:
    from seqstate.stores.memory import MemoryStore

    _refuse_others(options, ())
    if durability not in (None, "none"):
        raise _wrong(
            f'durability is "{durability}", and what is kept in memory goes with the process.',
            _EXPECTED,
        )
    return MemoryStore()


def _sqlite(path: str, options: dict[str, str], durability: str, create: bool) -> Store:
    from seqstate.stores.sqlite import SQLiteStore

    _refuse_others(options, ("timeout",))
    text = options.get("timeout", "10")
    try:
        timeout = float(text)
    except ValueError:
        timeout = -1.0
    if not 0 <= timeout <= 86_400:
        raise _wrong(f"the URL says timeout={text}; expected seconds.", "Write ?timeout=60.")
    return SQLiteStore(path, durability, timeout, create)


def _redis(url: str, options: dict[str, str], durability: str) -> Store:
    from seqstate.stores.redis import PREFIX, RedisStore

    prefix = options.pop("prefix", PREFIX)
    return RedisStore(f"{url}?{urlencode(options)}" if options else url, prefix, durability)


def _refuse_others(options: dict[str, str], known: tuple[str, ...]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise _wrong(
            f"the URL has the unknown option {unknown[0]}.",
            f"Known are {', '.join((*known, 'durability'))}.",
        )


def _wrong(what: str, todo: str) -> ArgumentError:
    return ArgumentError(message(WHERE, what, todo))
