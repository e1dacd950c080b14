"""NVIDIA FLARE's simulator, driven by its Collab API: `SimEnv` runs a server, and a site in a process of its own.

A site of FLARE is a process, so that one site stands for all customers: each of them is a call with a message, which
takes the tower there and back. Several calls under way hide the latency of one. Starting server and site is not
counted. Arrays travel inside a message: by default each message with arrays is answered with further requests for
them in parts, which suits large models.
"""

import json
import sys
import tempfile
from pathlib import Path

from harness import arguments, tell
from nvflare.collab import CollabRecipe
from nvflare.recipe import SimEnv
from nvidia_flare_apps import Server, Site

INSIDE_MESSAGES = {"tensor_download_chunk_size": 0, "np_download_chunk_size": 0}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        recipe = CollabRecipe(job_name="peer", server=Server(vars(arguments()), str(found)), client=Site())
        recipe.add_server_config(INSIDE_MESSAGES)
        recipe.add_client_config(INSIDE_MESSAGES)
        recipe.execute(SimEnv(num_clients=1, workspace_root=folder, log_config="ERROR"))
        if not found.is_file():
            sys.exit("The server did not come to its end; what it said stands above")
        tell("nvidia_flare", ["nvflare", "torch", "numpy"], json.loads(found.read_text()))


if __name__ == "__main__":
    main()
