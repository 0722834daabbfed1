"""Proves that transformers and PEFT read what Scruple writes, and Scruple what they write.

    python3 bench/interchange.py

Uses the environment of bench/compare.py, and the tiny checkpoints of fixtures/parity. transformers saves each model in
several shards, `scruple merge` merges it with its adapter, and transformers loads it again: the same shards, keys and
types, none missing and none unexpected, and the logits of the same model with the adapter loaded by PEFT. Then
`scruple sft` trains an adapter on all linear layers of the language model, and PEFT loads it: on exactly those layers,
no key missing, and the logits of the model that `scruple merge` makes of it.
"""

import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

from compare import ENVIRONMENT, ROOT, prepare, run

SCRUPLE = ROOT / "target/release/scruple"
FAMILIES = ["qwen2_vl", "qwen2_5_vl", "qwen2_5_vl_tied", "internvl"]
SHARD_SIZE = "100KB"
TOLERANCE = 2e-4
# Two steps, large enough to be seen in the logits.
SETTINGS = """
[model]
path = "{model}"
[data]
train = "{data}"
[train]
type = "lora"
r = 4
lora_alpha = 8.0
[sft]
general_ratio = 0.0
max_steps = 2
train_batch_size = 4
max_length = 512
learning_rate = 1e-2
lr_scheduler_type = "constant"
"""


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


def load(folder):
    """A model, and the problems that loading its files reported."""
    import torch
    from transformers import AutoModelForImageTextToText

    model, info = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    return model.eval(), info


def resave(fixture, source):
    """Has transformers save a fixture's model in several shards."""
    model, _ = load(fixture / "model")
    model.save_pretrained(source, max_shard_size=SHARD_SIZE)
    for file in (fixture / "model").iterdir():
        if not (source / file.name).exists() and file.suffix != ".safetensors":
            (source / file.name).write_bytes(file.read_bytes())
    return model


def prove_merging(family, fixture, source, merged):
    """Merges the fixture's adapter; the number of shards and the largest difference of a logit."""
    import torch
    from peft import PeftModel

    model = resave(fixture, source)
    run([SCRUPLE, "merge", "--quiet", "--model", source, "--adapter", fixture / "adapter", "--out", merged])

    before, after = keys_by_shard(source), keys_by_shard(merged)
    assert len(before) > 1, f"{family}: expected several shards, got {list(before)}"
    assert before == after, f"{family}: shards, keys or types differ"
    loaded, info = load(merged)
    for kind in ["missing_keys", "unexpected_keys", "mismatched_keys"]:
        assert not info[kind], f"{family}: {kind}: {info[kind]}"
    ids = torch.arange(5, 35).unsqueeze(0)
    adapted = PeftModel.from_pretrained(model, fixture / "adapter").eval()
    expected, got = logits(adapted, ids), logits(loaded, ids)
    with adapted.disable_adapter():
        assert (expected - logits(adapted, ids)).abs().max() > 10 * TOLERANCE, f"{family}: the adapter changes nothing"
    return len(before), (expected - got).abs().max().item()


def train(fixture, source, folder):
    """Has Scruple train an adapter on the fixture's dialogues; its folder."""
    cases = [json.loads(line) for line in (fixture / "cases.jsonl").read_text().splitlines()]
    said = lambda case: {"role": "assistant", "content": case["reply"]}
    items = [{"id": case["id"], "messages": [*case["messages"], said(case)]} for case in cases]
    (folder / "images").symlink_to(fixture / "images")
    data, settings = folder / "items.jsonl", folder / "sft.toml"
    data.write_text("".join(json.dumps(item) + "\n" for item in items))
    settings.write_text(SETTINGS.format(model=source, data=data))
    run([SCRUPLE, "sft", "--quiet", "--config", settings, "--out", folder / "run"])
    (checkpoint,) = (folder / "run").glob("checkpoint-*")
    return checkpoint


def prove_training(family, fixture, source, folder):
    """Trains an adapter; the number of layers it adapts and the largest difference of a logit."""
    import torch
    from peft import PeftModel
    from safetensors import safe_open

    adapter, merged = train(fixture, source, folder), folder / "merged-own"
    model, _ = load(source)
    ids = torch.arange(5, 35).unsqueeze(0)
    plain = logits(model, ids)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*missing adapter keys.*")
        adapted = PeftModel.from_pretrained(model, adapter).eval()
    with safe_open(adapter / "adapter_model.safetensors", "pt") as file:
        written = {key.removesuffix(".lora_A.weight") for key in file.keys() if key.endswith(".lora_A.weight")}
    on_model = {name for name, module in adapted.named_modules() if hasattr(module, "lora_A")}
    assert on_model == written, f"{family}: layers differ: {on_model ^ written}"
    run([SCRUPLE, "merge", "--quiet", "--model", source, "--adapter", adapter, "--out", merged])
    expected, got = logits(adapted, ids), logits(load(merged)[0], ids)
    assert (expected - plain).abs().max() > 10 * TOLERANCE, f"{family}: training changes nothing"
    return len(written), (expected - got).abs().max().item()


def python_side():
    for family in FAMILIES:
        fixture = ROOT / "fixtures/parity" / family
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            shards, merging = prove_merging(family, fixture, folder / "source", folder / "merged")
            layers, training = prove_training(family, fixture, folder / "source", folder)
        for difference in [merging, training]:
            assert difference < TOLERANCE, f"{family}: logits differ by {difference}"
        found = {"shards": shards, "largest_difference": merging, "own_layers": layers, "own_difference": training}
        print(json.dumps({"family": family, **found}), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--python-side"]:
        python_side()
    else:
        prepare()
        os.execv(ENVIRONMENT / "bin/python", ["python", __file__, "--python-side"])
