"""How the native module is built, and what is installed where it can't be."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CMAKE = (ROOT / "CMakeLists.txt").read_text()


def test_every_source_is_built():
    sources = [*(ROOT / "native/kernels").glob("*.cpp"), *(ROOT / "native/bindings").glob("*.cpp")]
    assert len(sources) > 3
    for source in sources:
        assert str(source.relative_to(ROOT)) in CMAKE


def test_every_build_but_the_baseline_has_its_flags():
    for builds in re.findall(r"set\(all (.+)\)", CMAKE):
        for build in set(builds.split()) - {"baseline", "neon"}:
            assert f"set({build} " in CMAKE


def test_the_requirements_of_the_build_are_those_of_pyproject():
    def printed(which):
        script = ROOT / "native" / "requirements.py"
        done = subprocess.run(
            [sys.executable, script, which], capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    headers, tools = printed("headers"), printed("tools")
    assert [name.split("=")[0] for name in headers] == ["jaxlib"]
    assert sorted(headers + tools) == sorted(project["build-system"]["requires"])


@pytest.mark.skipif(
    importlib.util.find_spec("scikit_build_core") is None, reason="the build tools are not here"
)
def test_without_a_compiler_the_package_is_pure_python_and_whole(tmp_path):
    source = tmp_path / "source"
    for name in ("src", "native", "CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*command, str(source), "--wheel-dir", str(tmp_path)],
        env={**os.environ, "CC": "/nonexistent/cc", "CXX": "/nonexistent/c++"},
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    package = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(package)
    files = {
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.is_file() and "dist-info" not in str(path)
    }
    expected = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src/seqstate").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files == expected
    code = (
        f"import sys; sys.path.insert(0, {str(package)!r}); "
        # What an editable install put there would find the module that it has built.
        "sys.meta_path[:] = [f for f in sys.meta_path if 'ScikitBuild' not in type(f).__name__]; "
        "from seqstate.kernels import native; print(native.usable(), native.usable())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
    assert done.stderr.count("installed without its compiled part") == 1


@pytest.mark.skipif(shutil.which("nm") is None, reason="nm is not here")
def test_no_build_brings_code_that_another_one_would_run():
    """The linker keeps one copy of an inline function; it must not be one for a newer machine."""
    directories = (ROOT / "build/editable").glob("CMakeFiles/seqstate_*.dir")
    once_a_build = ("build.cpp.o", "dense.cpp.o")
    objects = [file for d in directories for file in d.rglob("*.o") if file.name in once_a_build]
    if not objects:
        pytest.skip("the module was not built in this checkout")
    for file in objects:
        build = re.search(r"seqstate_(\w+)\.dir", str(file))[1]
        listed = subprocess.run(
            ["nm", "--demangle", "--defined-only", str(file)],
            capture_output=True,
            text=True,
            check=True,
        )
        weak = [line.split(maxsplit=2)[2] for line in listed.stdout.splitlines() if " W " in line]
        shared = [name for name in weak if f"seqstate::{build}::" not in name]
        assert shared == []
