"""The stores that the commands are tried on."""

from stores.conftest import new_url, redis_server

__all__ = ["new_url", "redis_server"]
