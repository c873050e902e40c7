"""What holds for all layers of a process, and what it is read from."""

import threading

import pytest

from seqstate import config
from seqstate.errors import ArgumentError
from subprocesses import python


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    monkeypatch.setattr(config._Chosen, "kernel", None)
    monkeypatch.setattr(config._Chosen, "threads", None)
    monkeypatch.setattr(config, "_listeners", [])
    monkeypatch.delenv(config.KERNEL_VARIABLE, raising=False)


def test_by_default_the_kernel_that_fits_is_used():
    assert config.kernel() == "auto"


@pytest.mark.parametrize("name", config.KERNELS)
def test_a_kernel_can_be_set_and_used_for_a_block(name):
    config.set_kernel(name)
    assert config.kernel() == name
    with config.using_kernel("native"):
        with config.using_kernel("portable"):
            assert config.kernel() == "portable"
        assert config.kernel() == "native"
    assert config.kernel() == name


def test_a_block_ends_where_it_raises():
    with pytest.raises(ZeroDivisionError), config.using_kernel("portable"):
        _ = 1 / 0
    assert config.kernel() == "auto"


def test_a_block_holds_for_its_own_thread():
    seen = []
    with config.using_kernel("portable"):
        other = threading.Thread(target=lambda: seen.append(config.kernel()))
        other.start()
        other.join()
    assert seen == ["auto"]


def test_the_environment_names_the_kernel(monkeypatch):
    monkeypatch.setenv(config.KERNEL_VARIABLE, "portable")
    assert config.kernel() == "portable"
    config.set_kernel("auto")
    assert config.kernel() == "auto"


def test_what_the_environment_says_wrong_is_refused_where_it_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv(config.KERNEL_VARIABLE, "fast")
    with pytest.raises(ArgumentError, match=r"SEQSTATE_KERNEL: it is 'fast'; expected one of"):
        config.kernel()
    assert python("import seqstate.config; print('imported')", tmp_path) == "imported"


@pytest.mark.parametrize("name", ["fast", None, 1, ["auto"]])
def test_an_unknown_kernel_is_refused(name):
    for use in (config.set_kernel, lambda given: config.using_kernel(given).__enter__()):
        with pytest.raises(ArgumentError, match=r"expected one of 'auto', 'native', 'portable'"):
            use(name)
    assert config.kernel() == "auto"


@pytest.mark.parametrize("threads", [0, -1, 1025, 1.5, True, "2", None])
def test_an_impossible_number_of_threads_is_refused(threads):
    heard = []
    config.when_threads_are_set(heard.append)
    with pytest.raises(ArgumentError, match="expected a number from 1 to 1024"):
        config.set_num_threads(threads)
    assert heard == []


def test_the_number_of_threads_reaches_who_asks_before_and_after():
    early, late = [], []
    config.when_threads_are_set(early.append)
    config.set_num_threads(3)
    config.when_threads_are_set(late.append)
    config.set_num_threads(1)
    assert early == late == [3, 1]
