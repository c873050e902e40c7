"""Print what the build needs, as pyproject.toml states it.

An install that rebuilds itself needs these packages in its own environment; pip would throw away
those that it installs for a build. `headers` prints the package whose headers alone are used: it
must not replace the one that runs, so it is kept elsewhere. `tools` prints all others.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
for requirement in project["build-system"]["requires"]:
    if requirement.startswith("jaxlib") == (sys.argv[1] == "headers"):
        print(requirement)
