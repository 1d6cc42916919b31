"""Other libraries that store vectors in PostgreSQL, each run in an environment of its own.

They pin versions that exclude this project's, so `.venv-peers` holds them. A peer is one script:
it is given a database URL and a folder with `vectors.npy` and `rows.json`, makes its table,
writes all rows and prints the seconds that writing took.
"""

from __future__ import annotations

import json
import subprocess
import venv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import ROOT, console
from benchmarks.rows import rows

PEERS = {"LangChain PGVectorStore": "langchain_store.py", "supabase vecs": "vecs_store.py"}

_HERE = Path(__file__).resolve().parent
_REQUIREMENTS = _HERE / "requirements.txt"


def environment(folder: Path = ROOT / ".venv-peers") -> Path | None:
    """The Python that has the peers, installed at first use; None where that cannot be done."""
    python, marker = folder / "bin" / "python", folder / "installed"
    wanted = _REQUIREMENTS.read_text()
    if marker.exists() and marker.read_text() == wanted:
        return python
    console.print(f"installing the peers into {folder.name} ...")
    try:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(  # noqa: S603
            [str(python), "-m", "pip", "install", "-q", "-r", str(_REQUIREMENTS)],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        console.print(f"peers left out, they cannot be installed: {reason.strip()[-300:]}")
        return None
    (folder / ".gitignore").write_text("*\n")
    marker.write_text(wanted)
    return python


def save_rows(folder: Path, vectors: NDArray[np.float32]) -> None:
    """What a peer is to write."""
    np.save(folder / "vectors.npy", vectors)
    (folder / "rows.json").write_text(
        json.dumps([[r.content_hash, r.preview, r.metadata] for r in rows(0, len(vectors))])
    )


def seconds(python: Path, peer: str, database_url: str, folder: Path) -> float:
    """How long a peer takes for the rows of a folder, in a table of its own."""
    ran = subprocess.run(  # noqa: S603
        [str(python), str(_HERE / PEERS[peer]), database_url, str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(ran.stdout.split()[-1])
