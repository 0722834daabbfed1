"""Proves that transformers and PEFT read what Scruple writes, and Scruple what they write.

    python3 bench/interchange.py

Uses the environment of bench/compare.py, and the tiny checkpoints of fixtures/parity. Each model is saved by transformers in
several shards, merged with its adapter by `scruple merge`, and loaded by transformers again: the same shards, keys and types, none
missing and none left over, and the logits of the same model with the adapter put on by PEFT.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from compare import ENVIRONMENT, ROOT, prepare, run

SCRUPLE = ROOT / "target/release/scruple"
FAMILIES = ["qwen2_vl", "qwen2_5_vl", "qwen2_5_vl_tied", "internvl"]
SHARD_SIZE = "100KB"
TOLERANCE = 2e-4


def keys_by_shard(folder):
    """The names of the weights in each file of a folder, and their types."""
    from safetensors import safe_open

    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            found[path.name] = {key: str(file.get_tensor(key).dtype) for key in file.keys()}
    return found


def logits(model, ids):
    import torch

    with torch.no_grad():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


def prove(family, folder):
    """Goes the whole way for a family; the largest difference of a logit."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    fixture = ROOT / "fixtures/parity" / family
    source, merged = folder / "source", folder / "merged"
    model = AutoModelForImageTextToText.from_pretrained(fixture / "model", dtype=torch.float32).eval()
    model.save_pretrained(source, max_shard_size=SHARD_SIZE)
    for file in (fixture / "model").iterdir():
        if not (source / file.name).exists() and file.suffix != ".safetensors":
            (source / file.name).write_bytes(file.read_bytes())
    run([SCRUPLE, "merge", "--quiet", "--model", source, "--adapter", fixture / "adapter", "--out", merged])

    before, after = keys_by_shard(source), keys_by_shard(merged)
    assert len(before) > 1, f"{family}: expected several shards, got {list(before)}"
    assert before == after, f"{family}: shards, keys or types differ"
    loaded, info = AutoModelForImageTextToText.from_pretrained(merged, dtype=torch.float32, output_loading_info=True)
    for kind in ["missing_keys", "unexpected_keys", "mismatched_keys"]:
        assert not info[kind], f"{family}: {kind}: {info[kind]}"
    ids = torch.arange(5, 35).unsqueeze(0)
    adapted = PeftModel.from_pretrained(model, fixture / "adapter").eval()
    expected, got = logits(adapted, ids), logits(loaded.eval(), ids)
    with adapted.disable_adapter():
        assert (expected - logits(adapted, ids)).abs().max() > 10 * TOLERANCE, f"{family}: the adapter changes nothing"
    return len(before), (expected - got).abs().max().item()


def python_side():
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            shards, difference = prove(family, Path(folder))
        assert difference < TOLERANCE, f"{family}: logits differ by {difference}"
        print(json.dumps({"family": family, "shards": shards, "largest_difference": difference}), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--python-side"]:
        python_side()
    else:
        prepare()
        os.execv(ENVIRONMENT / "bin/python", ["python", __file__, "--python-side"])
