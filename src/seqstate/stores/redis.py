"""A store on a Redis server: shared by processes on several machines."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

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
# Where servers before Redis 7 end: words of a command. A write has 3 for each key and 4 more.
_MOST_WORDS = 2**20
_MOST_ITEMS = (_MOST_WORDS - 4) // 3
# After the prefix: the name of the highest version that a deleted key had. It is no UTF-8, so that
# it can't be the key of a source, whatever the prefixes of the stores on the server are.
_FLOOR = b"\xfffloor"
# A script runs alone on the server. Its last key is that of the floor. All versions are looked at
# before the first key is written; the value of a new key comes without the head that counts.
_PUT = f"""
local moved, floor = {{}}, tonumber(redis.call('GET', KEYS[#KEYS]) or 0)
for i = 1, #KEYS - 1 do
    if redis.call('GETRANGE', KEYS[i], 0, {_COUNTED - 1}) ~= ARGV[2 * i - 1] then
        moved[#moved + 1] = i
    end
end
if #moved == 0 then
    local first = '{_MAGIC.decode()}' .. struct.pack('<I8', floor + 1)
    for i = 1, #KEYS - 1 do
        local head = ARGV[2 * i - 1] == '' and first or ''
        redis.call('SET', KEYS[i], head .. ARGV[2 * i])
    end
end
return {{moved, floor}}
"""
# The floor is raised after the keys are gone: a full server lets a script write that has made room.
_DELETE = f"""
local floor, gone = tonumber(redis.call('GET', KEYS[#KEYS]) or 0), 0
local highest = floor
for i = 1, #KEYS - 1 do
    local head = redis.pcall('GETRANGE', KEYS[i], 0, {_COUNTED - 1})
    if type(head) == 'string' and #head == {_COUNTED} and head:sub(1, 4) == '{_MAGIC.decode()}' then
        highest = math.max(highest, (struct.unpack('<I8', head, 5)))
    end
    gone = gone + redis.call('DEL', KEYS[i])
end
if highest > floor then
    redis.call('SET', KEYS[#KEYS], string.format('%.0f', highest))
end
return gone
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
            self._loaded = {
                script: self._server.ask(NOTHING, "SCRIPT", "LOAD", script)[0]
                for script in (_PUT, _DELETE)
            }
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
        if len(names) > _MOST_ITEMS:
            raise self._too_many(len(names))
        own = secrets.token_bytes(_HEAD - _COUNTED)
        values = []
        for _, data, version in items:
            values.append(_counted(version) if version else b"")
            head = _counted(version + 1) if version else b""
            values.append(b"".join((head, own, data)))
        unknown = f"Either all of the {len(items)} items were written or none: get them again."
        (moved, floor), resent = self._run(unknown, _PUT, names, values)
        if moved:
            before = self._floor_of(items, names, own) if resent else None
            if before is None:
                written = f"The connection was lost while writing. {unknown}" if resent else NOTHING
                there = self._read_and_there([items[i - 1] for i in moved])
                raise conflict(self._where, there, written)
            floor = before
        return [(version or floor) + 1 for _, _, version in items]

    def delete(self, keys: Sequence[str]) -> int:
        """Remove keys, as `Store` says; where a connection is lost, it may count too few."""
        names = self._names(keys)
        gone = 0
        for start in range(0, len(names), _AT_ONCE):
            some = f"{gone} keys were removed for certain; others may have been."
            count, _ = self._run(some, _DELETE, names[start : start + _AT_ONCE], [])
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
            found.update(name for name in names if not name.endswith(_FLOOR))
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
        return Entry(value[_HEAD:], _version(value))

    def _run(
        self, written: str, script: str, names: Sequence[bytes], values: Sequence[bytes]
    ) -> tuple[Any, bool]:
        """Run a script on keys and the floor; gives and raises what `Server.ask` does."""
        command = len(names) + 1, *names, self._prefix + _FLOOR, *values
        try:
            return self._server.ask(written, "EVALSHA", self._loaded[script], *command)
        except ScriptMissingError as missing:
            answer, again = self._server.ask(written, "EVAL", script, *command)
            return answer, again or missing.resent

    def _floor_of(self, items: Sequence[Item], names: Sequence[bytes], own: bytes) -> int | None:
        """Give the floor that a writing met; None where no key tells that it was carried out.

        One key that it still holds is enough. If that is no new one, the new ones were moved on
        or removed since: then 0 gives them a version that they don't have and won't have again.
        """
        new_first = sorted(zip(items, names, strict=True), key=lambda pair: pair[0][2] > 0)
        for (_, _, version), name in new_first:
            head, _ = self._server.ask(NOTHING, "GETRANGE", name, 0, _HEAD - 1)
            if head[_COUNTED:] == own:
                return 0 if version else _version(head) - 1
        return None

    def _read_and_there(self, moved: Sequence[Item]) -> list[tuple[str, int, int]]:
        there = self.get_many([key for key, _, _ in moved])
        return [
            (key, read, entry.version if entry else 0)
            for (key, _, read), entry in zip(moved, there, strict=True)
        ]

    def _too_many(self, count: int) -> ArgumentError:
        return ArgumentError(
            message(
                self._where,
                f"{count:,} items came; one call writes at most {_MOST_ITEMS:,}, so that all or "
                "none of them are written.",
                "Write them in several calls.",
            )
        )

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


def _version(value: bytes) -> int:
    return int.from_bytes(value[len(_MAGIC) : _COUNTED], "little")
