"""A store on a Redis server: shared by processes on several machines."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence

from seqstate.errors import ArgumentError, DataError, message
from seqstate.stores.checks import (
    NOTHING,
    OpenHere,
    check_items,
    check_keys,
    check_prefix,
    conflict,
)
from seqstate.stores.redis_server import ScriptMissingError, Server
from seqstate.stores.store import DURABILITIES, Entry, Item, Store

PREFIX = "seqstate:"

# A value: this, the version in 8 bytes, 8 bytes that only this writing has, the data.
_MAGIC = b"SqV1"
_COUNTED, _HEAD = 12, 20
_AT_ONCE = 5_000  # keys in a command that reads or removes
_SCANNED = 1_000  # keys that the server looks at before it answers others
# A script runs alone on the server. All versions are looked at before the first key is written.
_PUT = f"""
local moved = {{}}
for i, key in ipairs(KEYS) do
    if redis.call('GETRANGE', key, 0, {_COUNTED - 1}) ~= ARGV[2 * i - 1] then
        moved[#moved + 1] = i
    end
end
if #moved == 0 then
    for i, key in ipairs(KEYS) do
        redis.call('SET', key, ARGV[2 * i])
    end
end
return moved
"""


class RedisStore(Store):
    """Entries as texts on a Redis server, each with its version in front.

    A write is a script, which the server runs alone and whole: one round trip. If the connection
    is lost on the way, it is sent again, and written once.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py takes it.
        prefix: what stands before each key on the server, so that several programs share it.
        durability: what a write that returned survives. "normal": the end of this process; what
            the server loses when it ends itself, its own settings say. "full": a power cut at the
            server too, which must have `appendonly yes` and `appendfsync always`. "none": nothing
            is asked of the server, which may also throw states away when its memory is full.

    Raises:
        ArgumentError: another durability or a prefix that can't be one, or a server whose settings
            lose what the durability promises.
        StoreError: the server can't be reached.
        MissingPackageError: the package redis is not installed.
    """

    def __init__(self, url: str, prefix: str = PREFIX, durability: str = "normal") -> None:
        self._server = Server(url, prefix)
        self._where = self._server.where
        check_prefix(prefix, self._where)
        if durability not in DURABILITIES:
            raise ArgumentError(
                message(
                    self._where,
                    f"durability is {durability!r}; expected one of {', '.join(DURABILITIES)}.",
                    'Leave it out for "normal".',
                )
            )
        self.durability = durability
        self._prefix = prefix.encode()
        self._here = OpenHere(self._where)
        try:
            self._server.check(durability)
            self._script, _ = self._server.ask(NOTHING, "SCRIPT", "LOAD", _PUT)
        except BaseException:
            self.close()
            raise

    def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """Give what is under each key, as `Store` says."""
        names = self._names(keys)
        found: list[bytes | None] = []
        for start in range(0, len(names), _AT_ONCE):
            values, _ = self._server.ask(NOTHING, "MGET", *names[start : start + _AT_ONCE])
            found += values
        return [
            None if value is None else self._entry(value, key)
            for key, value in zip(keys, found, strict=True)
        ]

    def put_many(self, items: Sequence[Item]) -> list[int]:
        """Write all items or none, as `Store` says."""
        check_items(items, self._where)
        names = self._names([key for key, _, _ in items])
        if not names:
            return []
        own = secrets.token_bytes(_HEAD - _COUNTED)
        values = []
        for _, data, version in items:
            values.append(_counted(version) if version else b"")
            values.append(b"".join((_counted(version + 1), own, data)))
        unknown = f"Either all of the {len(items)} items were written or none: get them again."
        command = len(names), *names, *values
        try:
            moved, resent = self._server.ask(unknown, "EVALSHA", self._script, *command)
        except ScriptMissingError as missing:
            moved, again = self._server.ask(unknown, "EVAL", _PUT, *command)
            resent = again or missing.resent
        if moved and not (resent and self._has(names, own)):
            written = f"The connection was lost while writing. {unknown}" if resent else NOTHING
            there = self._read_and_there([items[i - 1] for i in moved])
            raise conflict(self._where, there, written)
        return [version + 1 for _, _, version in items]

    def delete(self, keys: Sequence[str]) -> int:
        """Remove keys, as `Store` says; where a connection is lost, it may count too few."""
        names = self._names(keys)
        gone = 0
        for start in range(0, len(names), _AT_ONCE):
            some = f"{gone} keys were removed for certain; others may have been."
            count, _ = self._server.ask(some, "DEL", *names[start : start + _AT_ONCE])
            gone += count
        return gone

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Give the keys that begin with a prefix, as `Store` says; all are read at the start.

        The server is asked for its keys in pieces, so that it answers others in between.
        """
        self._here.check()
        check_prefix(prefix, self._where)
        pattern = re.sub(rb"([*?\[\]\\^-])", rb"\\\1", self._prefix + prefix.encode()) + b"*"
        found: set[bytes] = set()
        cursor: bytes | int = b"0"
        while True:
            (cursor, names), _ = self._server.ask(
                NOTHING, "SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED
            )
            found.update(names)
            if int(cursor) == 0:
                break
        try:
            return iter(sorted(name[len(self._prefix) :].decode() for name in found))
        except UnicodeDecodeError as error:
            raise self._foreign(repr(error.object)) from error

    def close(self) -> None:
        """Close the connections."""
        self._here.open = False
        self._server.close()

    def _names(self, keys: Sequence[str]) -> list[bytes]:
        self._here.check()
        check_keys(keys, self._where)
        return [self._prefix + key.encode() for key in keys]

    def _entry(self, value: bytes, key: str) -> Entry:
        if len(value) < _HEAD or not value.startswith(_MAGIC):
            raise self._foreign(repr(key))
        return Entry(value[_HEAD:], int.from_bytes(value[len(_MAGIC) : _COUNTED], "little"))

    def _has(self, names: Sequence[bytes], own: bytes) -> bool:
        """Tell whether the writing was carried out: one key that it still holds is enough."""
        for name in names:
            head, _ = self._server.ask(NOTHING, "GETRANGE", name, _COUNTED, _HEAD - 1)
            if head == own:
                return True
        return False

    def _read_and_there(self, moved: Sequence[Item]) -> list[tuple[str, int, int]]:
        there = self.get_many([key for key, _, _ in moved])
        return [
            (key, read, entry.version if entry else 0)
            for (key, _, read), entry in zip(moved, there, strict=True)
        ]

    def _foreign(self, key: str) -> DataError:
        return DataError(
            message(
                self._where,
                f"the key {key} was not written by seqstate.",
                "Give the store a prefix of its own: ?prefix=plant-7: in the URL.",
            )
        )


def _counted(version: int) -> bytes:
    return _MAGIC + version.to_bytes(8, "little")
