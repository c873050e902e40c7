"""Archives taken apart and written again with something else in them."""

import io
import json
import zipfile

import seqstate


def parts_of(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return {name: file.read(name) for name in file.namelist()}


def written(parts, how=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return stream.getvalue()


def load(content, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    return seqstate.load(path)


def with_config(whole, change):
    parts = parts_of(whole)
    config = json.loads(parts["config.json"])
    change(config)
    return written({**parts, "config.json": json.dumps(config)})
