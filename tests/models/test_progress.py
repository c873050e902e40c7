"""The progress bar: there when it is asked for, silent where nobody watches."""

import pytest

from seqstate.models import progress


@pytest.mark.parametrize(
    ("wanted", "terminal", "seconds", "appears"),
    [
        (True, False, 0, True),
        (False, True, 60, False),
        (None, False, 60, False),
        (None, True, 60, True),
        (None, True, 0, False),
    ],
)
def test_when_it_appears(monkeypatch, capsys, wanted, terminal, seconds, appears):
    clock = iter([0.0, *[float(seconds)] * 9])
    monkeypatch.setattr(progress, "monotonic", lambda: next(clock))
    monkeypatch.setenv("FORCE_COLOR" if terminal else "NO_COLOR", "1")
    assert list(progress.shown(range(3), "tracing", wanted)) == [0, 1, 2]
    shown = capsys.readouterr()
    assert ("tracing" in shown.err) == appears
    assert shown.out == ""


def test_it_is_taken_away_where_the_work_fails(capsys):
    def work():
        for _ in progress.shown(range(3), "tracing", True):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert list(progress.shown(range(2), "again", True)) == [0, 1]
