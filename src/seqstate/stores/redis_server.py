"""The Redis server of a store: how it is asked, and what it must promise."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from seqstate.errors import (
    ArgumentError,
    DataError,
    MissingPackageError,
    SeqstateError,
    StoreError,
    message,
)
from seqstate.stores.checks import NOTHING

if TYPE_CHECKING:
    from redis.exceptions import RedisError

# When a connection is lost: at once on a new one, then after so many seconds.
_AGAIN_AFTER = (0.0, 0.2, 1.0)
_CONNECT_SECONDS, _ANSWER_SECONDS = 5, 30
_ALLOW = "Allow the user in the URL what a store needs: see docs/concepts/stores.md."
_TODO = "Check its log, its settings and what else it is doing, then try again."


class Server:
    """A Redis server that is asked again where a connection is lost.

    Args:
        url: as redis-py takes it.
        prefix: what the keys begin with, for messages.

    Raises:
        MissingPackageError: the package redis is not installed.
        ArgumentError: a URL that redis-py can't read.
    """

    def __init__(self, url: str, prefix: str) -> None:
        parts = urlsplit(url)
        # No user and no password: messages go into logs.
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self.where = f'Redis store "{place}" with the prefix "{prefix}"'
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise MissingPackageError(
                message(
                    self.where,
                    "the package redis is not installed.",
                    'Run: pip install "seqstate[redis]"',
                )
            ) from error
        self._errors = redis.exceptions
        self._todos = {
            redis.exceptions.NoPermissionError: _ALLOW,
            redis.exceptions.AuthenticationError: "Give the user and the password in the URL: "
            "redis://user:password@host:6379/0.",
            redis.exceptions.ReadOnlyError: "Give the URL of the primary: a replica takes no "
            "writes.",
            redis.exceptions.OutOfMemoryError: "Raise its maxmemory, or remove keys: seqstate "
            "state rm.",
        }
        try:
            self._pool = redis.ConnectionPool.from_url(
                url,
                retry=Retry(NoBackoff(), 0),  # what is sent again is said here
                socket_connect_timeout=_CONNECT_SECONDS,
                socket_timeout=_ANSWER_SECONDS,
            )
        except (ValueError, TypeError) as error:
            raise ArgumentError(
                message(
                    self.where,
                    f"redis-py can't read the URL: {error}.",
                    'Pass one such as "redis://localhost:6379/0".',
                )
            ) from error

    def ask(self, written: str, *command: Any) -> tuple[Any, bool]:
        """Send a command and wait for its answer.

        Args:
            written: a sentence on what was written, if it was sent and no answer came.
            command: with its arguments.

        Returns:
            The answer, and whether an earlier sending may have been carried out as well.

        Raises:
            StoreError: the server can't be reached or refuses.
            DataError: a key holds something else than a text.
            ScriptMissingError: the server does not have the script.
        """
        sent = False
        for wait in (*_AGAIN_AFTER, None):
            before = sent
            try:
                connection = self._pool.get_connection()
                sent = True
                return self._exchange(connection, command), before
            except self._errors.NoScriptError as error:
                raise ScriptMissingError(before) from error
            except (
                self._errors.AuthenticationError,
                self._errors.AuthorizationError,
                self._errors.ResponseError,
            ) as error:
                raise self._refusal(error, written if before else NOTHING) from error
            except (self._errors.RedisError, OSError) as error:
                if wait is None:
                    raise self._lost(error, written if sent else NOTHING) from error
                time.sleep(wait)
        raise AssertionError("the last time returns or raises")

    def check(self, durability: str) -> None:
        """Refuse a server whose settings lose what the durability promises.

        Raises:
            ArgumentError: they do.
        """
        if durability == "none":
            return
        memory = self._info("memory")
        policy = memory.get("maxmemory_policy", "noeviction")
        if memory.get("maxmemory", "0") != "0" and policy.startswith("allkeys"):
            raise self._unsafe(
                f"maxmemory-policy is {policy}: the server throws states away when it is full.",
                "Set it to noeviction, or open the store with durability=none.",
            )
        if durability == "normal":
            return
        answer, _ = self.ask(NOTHING, "CONFIG", "GET", "append*")
        found = _pairs(answer)
        asked = {"appendonly": "yes", "appendfsync": "always"}
        wrong = {k: found.get(k, "unknown") for k, v in asked.items() if found.get(k) != v}
        if wrong:
            raise self._unsafe(
                'durability is "full", and on the server '
                + " and ".join(f"{name} is {value}" for name, value in wrong.items())
                + ".",
                "Set appendonly to yes and appendfsync to always, or open the store with "
                "durability=normal.",
            )

    def close(self) -> None:
        """Close all connections."""
        self._pool.disconnect()

    def _exchange(self, connection: Any, command: tuple[Any, ...]) -> Any:
        try:
            connection.send_command(*command)
            return connection.read_response()
        except self._errors.ResponseError:
            raise
        except BaseException:
            # An answer that comes later would be taken for that of the next command.
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)

    def _info(self, section: str) -> dict[str, str]:
        answer, _ = self.ask(NOTHING, "INFO", section)
        lines = answer.decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def _refusal(self, error: RedisError, written: str) -> SeqstateError:
        if "WRONGTYPE" in str(error):
            return DataError(
                message(
                    self.where,
                    f"a key holds something else than a state. {written}",
                    "Give the store a prefix of its own: ?prefix=plant-7: in the URL.",
                )
            )
        said = str(error).partition(" script: ")[0].rstrip(".")
        in_script = _ALLOW if said.startswith("The user executing the script") else _TODO
        todo = next(
            (one for kind, one in self._todos.items() if isinstance(error, kind)), in_script
        )
        return StoreError(message(self.where, f"the server refuses: {said}. {written}", todo))

    def _lost(self, error: Exception, written: str) -> StoreError:
        return StoreError(
            message(
                self.where,
                f"the server can't be reached: {error or type(error).__name__}. {written}",
                "Check that it runs and that the URL is right.",
            )
        )

    def _unsafe(self, what: str, todo: str) -> ArgumentError:
        return ArgumentError(message(self.where, what, todo))


class ScriptMissingError(Exception):
    """The server was started anew, or told to forget its scripts.

    Args:
        resent: whether an earlier sending may have been carried out.
    """

    def __init__(self, resent: bool) -> None:
        super().__init__(resent)
        self.resent = resent


def _pairs(answer: Any) -> dict[str, str]:
    """Give the answer of CONFIG GET: a dict, or names and values in turn."""
    if not isinstance(answer, dict):
        answer = dict(zip(answer[::2], answer[1::2], strict=True))
    return {name.decode(): value.decode() for name, value in answer.items()}
