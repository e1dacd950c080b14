"""A run's folder: what one training leaves behind, written so that a kill at any moment loses at most a checkpoint.

    run.json          who the run is, the Dataset that it was trained on, and the version of the layout
    config.toml       the resolved settings
    environment.json  versions and machine
    metrics.jsonl     one line a round
    ledger.jsonl      one line a round and message kind
    second_stage.jsonl    one line a round of the second stage, where there is one
    checkpoints/      round-000100.safetensors: tensors, with a manifest in the header
    private/          immutable blocks of private state, named by their hash

Nothing is written in place: files are written beside and renamed, and JSON lines are only appended. All are sealed, or
hashed in a checkpoint's manifest, so that damage is noticed.
"""

from spfedrec_cli.files import write_json as write_json
from spfedrec_cli.files import write_text as write_text
from spfedrec_cli.locks import Locked as Locked
from spfedrec_cli.locks import locked as locked
from spfedrec_cli.run.checkpoints import Checkpoint as Checkpoint
from spfedrec_cli.run.checkpoints import digest as digest
from spfedrec_cli.run.checkpoints import go_on_from as go_on_from
from spfedrec_cli.run.checkpoints import latest as latest
from spfedrec_cli.run.checkpoints import listed as listed
from spfedrec_cli.run.checkpoints import load_checkpoint as load_checkpoint
from spfedrec_cli.run.checkpoints import load_manifest as load_manifest
from spfedrec_cli.run.checkpoints import origin as origin
from spfedrec_cli.run.checkpoints import rounds as rounds
from spfedrec_cli.run.checkpoints import save_checkpoint as save_checkpoint
from spfedrec_cli.run.checkpoints import tidy as tidy
from spfedrec_cli.run.checkpoints import usable as usable
from spfedrec_cli.run.folder import DATASETS as DATASETS
from spfedrec_cli.run.folder import LAYOUT as LAYOUT
from spfedrec_cli.run.folder import RUNS as RUNS
from spfedrec_cli.run.folder import about as about
from spfedrec_cli.run.folder import check_config as check_config
from spfedrec_cli.run.folder import check_free as check_free
from spfedrec_cli.run.folder import create as create
from spfedrec_cli.run.folder import find as find
from spfedrec_cli.run.folder import is_helper as is_helper
from spfedrec_cli.run.folder import is_one_of_several as is_one_of_several
from spfedrec_cli.run.folder import sweep as sweep
from spfedrec_cli.run.folder import write_about as write_about
from spfedrec_cli.run.folder import write_config as write_config
from spfedrec_cli.run.folder import writing as writing
from spfedrec_cli.run.lines import append as append
from spfedrec_cli.run.lines import records as records
