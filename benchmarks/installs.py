"""Each extra in an environment of its own: installed from a wheel, and what it is for tried once.

    python benchmarks/installs.py              # all but those that bring PyTorch or Ray
    python benchmarks/installs.py serve heic   # these
    python benchmarks/installs.py --all

`make test-install` calls it. Environments are temporary; pip takes versions from constraints.txt.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PHOTO = ROOT / "examples" / "photos" / "dog.jpg"
#: Extras that bring gigabytes.
LARGE = ("train", "hf", "ray", "dev")

_SERVE = """
import base64, json, subprocess, sys, time, urllib.request
server = subprocess.Popen([sys.executable, "-m", "negah", "serve", "--port", "8499"])
at = "http://127.0.0.1:8499"
try:
    for _ in range(240):
        try:
            urllib.request.urlopen(at + "/readyz")
            break
        except OSError:
            time.sleep(0.5)
    body = json.dumps({"file": base64.b64encode(open(PHOTO, "rb").read()).decode()}).encode()
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(at + "/v1/captions", body, kind)
    print(json.load(urllib.request.urlopen(request))["caption"])
finally:
    server.terminate()
    server.wait()
"""
#: For each extra a program; "" is the base install. PHOTO is a photo, OUT a temporary folder.
TRIES: Mapping[str, str] = {
    "": "import negah; print(negah.caption(PHOTO).text)",
    "heic": "import pillow_heif, negah; from PIL import Image; pillow_heif.register_heif_opener();"
    " Image.open(PHOTO).save(OUT + '/a.heic'); print(negah.caption(OUT + '/a.heic').text)",
    "serve": _SERVE,
    "study": "import matplotlib; matplotlib.use('agg'); import matplotlib.pyplot as p;"
    " from negah.studies import STUDIES; p.figure().savefig(OUT + '/a.png'); print(len(STUDIES))",
    "glove": "from negah.text.vectors import PACKAGE, read_vectors;"
    " v = read_vectors(PACKAGE, ['dog', 'cat']); print(v.size, sorted(v.rows))",
    "meteor": "from negah.metrics import score;"
    " print(score({'1': 'a dog'}, {'1': ['the dog']}, metrics=['METEOR']).values)",
    "parquet": "import pyarrow as a, pyarrow.parquet as q; from negah.data import load_dataset;"
    " q.write_table(a.table({'image': [{'bytes': open(PHOTO, 'rb').read(), 'path': 'a.jpg'}],"
    " 'caption': ['a dog']}), OUT + '/train.parquet'); print(len(load_dataset(OUT).examples))",
    "remote": "import negah.cli.main as m, os, fsspec, aiohttp; print(fsspec.__version__)",
    "docs": "import zensical, mkdocstrings; print('site')",
    "notebooks": "import jupytext, nbclient, ipykernel, jupyterlab, matplotlib;"
    " n = jupytext.reads('# a\\n\\n```python\\nprint(1)\\n```\\n', 'md');"
    " nbclient.NotebookClient(n).execute(); print(n.cells[-1].outputs)",
    "train": "import torch, timm; from negah.training import load_recipe;"
    " from negah.models import load_encoder;"
    " print(load_encoder(load_recipe('cam-rnn').encoder).channels)",
    "hf": "import negah.hf, transformers; print(transformers.__version__)",
    "ray": "import ray; from negah.jobs.engine import RayCaptioner; print(RayCaptioner)",
    "dev": "import pytest, mypy; print(pytest.__version__)",
}


def try_extra(extra: str, wheel: Path, folder: Path) -> tuple[bool, float, str]:
    """Install one extra and run its program: whether it worked, seconds, and what it said."""
    begun = time.monotonic()
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    wanted = f"negah[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    pins = str(ROOT / "constraints.txt")
    install = [str(python), "-m", "pip", "install", "--quiet", "-c", pins, wanted]
    program = f"PHOTO = {str(PHOTO)!r}\nOUT = {str(folder)!r}\n{TRIES[extra]}\n"
    said = ""
    for command in (install, [str(python), "-c", program]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        said = (done.stdout.strip().splitlines() or [""])[-1]
        if done.returncode:
            return False, time.monotonic() - begun, done.stderr.strip()[-2000:]
    return True, time.monotonic() - begun, said


def main() -> int:
    """Try the extras that are named; 1 if one fails."""
    parser = argparse.ArgumentParser(description="Install and try each extra by itself.")
    parser.add_argument("extras", nargs="*", help="which; by default all that are not large")
    parser.add_argument("--all", action="store_true", help=f"also {', '.join(LARGE)}")
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = ["", *project["optional-dependencies"]]
    if unknown := set(names) ^ set(TRIES):
        sys.exit(f"an extra without a program, or a program without an extra: {sorted(unknown)}")
    chosen = options.extras or [name for name in names if options.all or name not in LARGE]
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w"]
        subprocess.run([*pip, temporary, str(ROOT)], check=True)
        (wheel,) = Path(temporary).glob("*.whl")
        for extra in chosen:
            with tempfile.TemporaryDirectory() as folder:
                worked, seconds, said = try_extra(extra, wheel, Path(folder))
            result = "ok" if worked else "FAILED"
            print(f"{result:6} {extra or 'base':10} {seconds:5.0f} s  {said}", flush=True)
            failed += [] if worked else [extra]
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
