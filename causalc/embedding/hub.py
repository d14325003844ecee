"""A saved sampler on a model hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from causalc.errors import CausalcError
from causalc.program import Sampler


def push_to_hub(
    sampler: Sampler,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    commit_message: str = "A causal sampler",
) -> str:
    """Save a sampler and upload its folder to the repository ``repo_id`` (``"name/of-it"``); returns its address.

    The repository is made where there is none, ``private`` if so told; ``token`` is by default the one that
    huggingface_hub knows, ``commit_message`` that of the upload. Read it back with
    ``causalc.load(huggingface_hub.snapshot_download(repo_id, local_dir="folder"))``.

    Models that draw real rows hold those rows: they are uploaded with the rest.

    Raises ``CausalcError`` where huggingface_hub is missing or the upload fails.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise CausalcError(
            "push_to_hub needs huggingface_hub: pip install huggingface_hub"
        ) from None
    api: Any = HfApi(token=token)
    with tempfile.TemporaryDirectory(prefix="causalc-") as scratch:
        folder = sampler.save(Path(scratch) / "sampler")
        try:
            api.create_repo(repo_id, private=private, exist_ok=True, repo_type="model")
            done = api.upload_folder(
                repo_id=repo_id, folder_path=folder, commit_message=commit_message
            )
        except Exception as error:  # whatever the network or the hub says
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise CausalcError(f"{repo_id}: not uploaded ({reason})") from error
    return str(getattr(done, "repo_url", None) or repo_id)
