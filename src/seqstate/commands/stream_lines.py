"""The lines of `seqstate stream`: NDJSON or CSV, each a push."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seqstate.errors import ArgumentError, DataError, message
from seqstate.runtime.streams.stepping import sample_sizes

if TYPE_CHECKING:
    from seqstate.runtime.model import Model

FORMATS = ("auto", "ndjson", "csv")
# The field of a line that holds a whole sample.
SAMPLE = "sample"
_SEPARATORS = ",;\t"
_SHOWN = 60
_FIELDS_SAID = 8
LONGEST_LINE = 1 << 24  # bytes
_MOST_DIGITS = 19
_LARGEST = sys.float_info.max


class Push(NamedTuple):
    """What one line asks for.

    Attributes:
        line: its number, from 1.
        key: the source.
        sample: a list of numbers; a dict of them by name for several inputs.
        sequence: the number of the push, or None.
    """

    line: int
    key: str
    sample: Any
    sequence: int | None


@dataclass
class Fields:
    """Where in a line things stand.

    Attributes:
        key: the field of the key.
        sequence: the field of the sequence number, or None.
        sample: the fields that make up the sample, in order; empty: `sample`, or all others, in
            the order of the first line.
    """

    key: str
    sequence: str | None = None
    sample: list[str] = field(default_factory=list)


class Lines:
    """Reads lines, one by one.

    Args:
        model: that the samples are for.
        fields: where things stand.
        form: one of `FORMATS`.
    """

    def __init__(self, model: Model, fields: Fields, form: str = "auto") -> None:
        if form not in FORMATS:
            raise ArgumentError(
                message("seqstate stream", f"the format is {form!r}.", f"Pass one of {FORMATS}.")
            )
        self._fields = fields
        self._form = form
        self._inputs = {one.name: (sample_sizes(one), one.dtype.kind) for one in model.inputs}
        self._columns: list[str] | None = None
        self._separator = ","
        self._number = 0

    def read(self, line: bytes) -> Push | None:
        """Read a line; None where it holds no push: it is empty, or the header of a CSV.

        Raises:
            DataError: it can't be read; the message says the line number, from 1.
        """
        self._number += 1
        if len(line) > LONGEST_LINE:
            raise self._wrong(f"it is longer than {LONGEST_LINE:,} bytes", line)
        try:
            text = line.decode("utf-8-sig" if self._number == 1 else "utf-8").strip("\r\n")
        except UnicodeDecodeError as error:
            raise self._wrong("it is no UTF-8", line) from error
        if not text.strip():
            return None
        if self._form == "auto":
            self._form = "ndjson" if text.lstrip().startswith("{") else "csv"
        record = self._json(text) if self._form == "ndjson" else self._csv(text)
        return None if record is None else self._push(record, text)

    def _push(self, record: dict[str, Any], text: str) -> Push:
        fields = self._fields
        if fields.key not in record:
            raise self._missing(fields.key, record, text)
        key = record[fields.key]
        if isinstance(key, int) and not isinstance(key, bool):
            key = str(key)
        if not isinstance(key, str) or not key:
            raise self._wrong(f"the key {key!r} is no text", text)
        number = None
        if fields.sequence is not None:
            if fields.sequence not in record:
                raise self._missing(fields.sequence, record, text)
            number = record[fields.sequence]
            if isinstance(number, str) and number.isdecimal() and len(number) <= _MOST_DIGITS:
                number = int(number)
            if type(number) is not int or number < 0:
                raise self._wrong(f"{fields.sequence} is {number!r}, no whole number from 0", text)
        sample: Any
        if len(self._inputs) > 1:
            sample = {name: self._sample(name, record, [name], text) for name in self._inputs}
        else:
            sample = self._sample(next(iter(self._inputs)), record, self._names(record), text)
        return Push(self._number, key, sample, number)

    def _names(self, record: dict[str, Any]) -> list[str]:
        """Give the fields of the sample; those of the first line that fits the model stay."""
        if self._fields.sample:
            return self._fields.sample
        if SAMPLE in record:
            return [SAMPLE]
        return [name for name in record if name not in (self._fields.key, self._fields.sequence)]

    def _sample(self, name: str, record: dict[str, Any], fields: Sequence[str], text: str) -> Any:
        """Give the sample of an input, in its shape where the count of numbers is right."""
        sizes, kind = self._inputs[name]
        found: list[Any] = self._numbers(record, fields, text)
        if kind != "f":
            odd = [one for one in found if one != int(one)]
            if odd:
                raise self._wrong(f"{odd[0]} is no whole number, as the model reads", text)
            found = [int(one) for one in found]
        if len(found) != math.prod(sizes):
            return found  # the streams say what is wrong
        if len(self._inputs) == 1:
            self._fields.sample = list(fields)
        if len(sizes) == 1:
            return found
        return np.array(found, object).reshape(sizes).tolist()

    def _numbers(self, record: dict[str, Any], names: Sequence[str], text: str) -> list[float]:
        found: list[float] = []
        for name in names:
            if name not in record:
                raise self._missing(name, record, text)
            value = record[name]
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, str):
                    try:
                        one = float(one)
                    except ValueError:
                        raise self._wrong(f"{name} is {one!r}, no number", text) from None
                if not isinstance(one, int | float) or not -_LARGEST <= one <= _LARGEST:
                    raise self._wrong(f"{name} is {one!r}, no number", text)
                found.append(one)
        return found

    def _missing(self, name: str, record: dict[str, Any], text: str) -> DataError:
        there = ", ".join(repr(one) for one in list(record)[:_FIELDS_SAID])
        more = ", ..." if len(record) > _FIELDS_SAID else ""
        return self._wrong(f"it has no field {name!r} (it has {there or 'none'}{more})", text)

    def _json(self, text: str) -> dict[str, Any]:
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._wrong(f"it is no JSON ({error})", text) from error
        if not isinstance(record, dict):
            raise self._wrong("it is no JSON object", text)
        return record

    def _csv(self, text: str) -> dict[str, Any] | None:
        if self._columns is None:
            self._separator = max(_SEPARATORS, key=text.count)
        try:
            (row,) = csv.reader([text], delimiter=self._separator)
        except csv.Error as error:
            raise self._wrong(f"it is no CSV ({error})", text) from error
        values = [one.strip() for one in row]
        if self._columns is None:
            self._columns = self._header(values, text)
            return None
        if len(values) != len(self._columns):
            raise self._wrong(
                f"it has {len(values)} values, and the header {len(self._columns)}", text
            )
        return dict(zip(self._columns, values, strict=True))

    def _header(self, values: list[str], text: str) -> list[str]:
        """Check the header; without it no line can be read, so it is no line to be skipped."""
        what = ""
        if self._fields.key not in values:
            what = f"the header has no column {self._fields.key!r}"
        for name in values:
            if values.count(name) > 1:
                what = f"the header has the column {name!r} {values.count(name)} times"
        if what:
            shown = repr(text[:_SHOWN]) + (" ..." if len(text) > _SHOWN else "")
            raise ArgumentError(
                message(
                    f"line {self._number}",
                    f"{what}: {shown}.",
                    "Begin with the names of the columns, each once, and pass that of the key: "
                    "--key NAME.",
                )
            )
        return values

    def _wrong(self, what: str, text: str | bytes) -> DataError:
        shown = repr(text[:_SHOWN]) + (" ..." if len(text) > _SHOWN else "")
        return DataError(
            message(
                f"line {self._number}",
                f"{what}: {shown}.",
                "Mend it, or pass --on-error skip to leave such lines out.",
            )
        )
