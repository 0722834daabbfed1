"""Measures Scruple against PyTorch (transformers) on the demo's base model: training and sampling tokens a second.

    python3 bench/compare.py [--rounds N] [--profile]

Makes its own Python environment under target/bench-env from bench/requirements.txt, builds the release binary, writes
the miniature world, and runs both engines in turn, `--rounds` times, each with two threads. Both see the same weights,
the same samples and the same batches; that the losses agree is checked. PyTorch gets preprocessed inputs, while
Scruple reads and resizes its images within the step. `--profile` prints a profile of both (of Scruple by `perf`, where
it is installed).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / "target/bench-env"
WORLD = ROOT / "target/bench-world"
MODEL = ROOT / "crates/cli/assets/base"
LABELS = WORLD / "labels/mirage.jsonl"
THREADS = 2
# As in crates/engine/examples/throughput.rs.
BATCH, WARM_UP_STEPS, STEPS, NEW_TOKENS, GROUP, ROUNDS = 32, 2, 12, 64, 8, 3
RATES = ["train_tokens_per_s", "sample_tokens_per_s", "sample_group_tokens_per_s"]


# --- PyTorch ----------------------------------------------------------------------------------------------------------


def torch_side(profile):
    """Prints the same JSON line as the `throughput` example."""
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    items = [json.loads(line) for line in LABELS.read_text().splitlines()]
    model, encode = open_model()
    rates = {
        "sample_tokens_per_s": sampling(model, encode, items, GROUP * GROUP, 1),
        "sample_group_tokens_per_s": sampling(model, encode, items, GROUP, GROUP),
    }
    step_s, tokens, losses = training(model, encode, items, profile)
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({
        "train_step_s": step_s, "train_tokens_per_s": tokens / step_s, "losses": losses, **rates,
        "peak_rss_mb": int(peak.split()[1]) / 1024,
    }))


def open_model():
    """The model, and a function from dialogues to its inputs."""
    import torch
    from PIL import Image
    from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(MODEL, attn_implementation="sdpa")
    tokenizer = AutoTokenizer.from_pretrained(MODEL, padding_side="left")
    tokenizer.chat_template = json.loads((MODEL / "chat_template.json").read_text())["chat_template"]
    processor = Qwen2VLImageProcessor.from_pretrained(MODEL)

    def encode(dialogues, add_generation_prompt):
        texts, images = [], []
        for messages in dialogues:
            text = tokenizer.apply_chat_template(messages, tokenize=False,
                                                 add_generation_prompt=add_generation_prompt)
            for part in (part for message in messages if isinstance(message["content"], list)
                         for part in message["content"] if part["type"] == "image"):
                pixels = processor([Image.open(LABELS.parent / part["image"]).convert("RGB")], return_tensors="pt")
                images.append(pixels)
                count = int(pixels["image_grid_thw"].prod()) // 4
                text = text.replace("<|image_pad|>", "<|slot|>" * count, 1)
            texts.append(text.replace("<|slot|>", "<|image_pad|>"))
        inputs = dict(tokenizer(texts, return_tensors="pt", padding=True))
        if images:
            inputs["pixel_values"] = torch.cat([image["pixel_values"] for image in images])
            inputs["image_grid_thw"] = torch.cat([image["image_grid_thw"] for image in images])
        return inputs

    return model, encode


def training(model, encode, items, profile):
    """Median seconds of a step, mean tokens of a step, and the loss of each step."""
    import torch

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    batches = []
    for start in range(0, BATCH * (WARM_UP_STEPS + STEPS), BATCH):
        dialogues = [item["messages"] for item in items[start:start + BATCH]]
        whole = encode(dialogues, False)
        labels = whole["input_ids"].clone()
        for row, dialogue in enumerate(dialogues):
            # Learn the reply with its end token, without the line end that the template puts after it.
            prompt = int(encode([dialogue[:-1]], True)["attention_mask"].sum())
            length = int(whole["attention_mask"][row].sum())
            labels[row, :labels.shape[1] - length + prompt] = -100
            labels[row, -1] = -100
        batches.append((whole, labels))
    seconds, losses, tokens = [], [], []
    recorder = torch.profiler.profile() if profile else None
    for step, (inputs, labels) in enumerate(batches):
        if recorder and step == WARM_UP_STEPS:
            recorder.start()
        began = time.perf_counter()
        loss = model(**inputs, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - began)
        losses.append(float(loss.detach()))
        # Without the line end, as Scruple counts.
        tokens.append(int(inputs["attention_mask"].sum()) - BATCH)
    if recorder:
        recorder.stop()
        print(recorder.key_averages().table(sort_by="self_cpu_time_total", row_limit=15), file=sys.stderr)
    return statistics.median(seconds[WARM_UP_STEPS:]), statistics.mean(tokens[WARM_UP_STEPS:]), losses


def sampling(model, encode, items, prompts, group):
    """Sampled tokens a second: the median of some rounds over new prompts, after a first to warm up."""
    import torch

    model.eval()
    rates = []
    for start in range(0, prompts * (1 + ROUNDS), prompts):
        dialogues = [item["messages"][:-1] for item in items[start:start + prompts]]
        inputs = encode(dialogues, True)
        began = time.perf_counter()
        with torch.inference_mode():
            model.generate(**inputs, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, num_return_sequences=group,
                           min_new_tokens=NEW_TOKENS, max_new_tokens=NEW_TOKENS)
        rates.append(prompts * group * NEW_TOKENS / (time.perf_counter() - began))
    return statistics.median(rates[1:])


# --- both sides -------------------------------------------------------------------------------------------------------


def run(command, **options):
    """Runs a command from the repository's root; returns its output."""
    return subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def prepare():
    """The Python environment, the binary and the world; the program that measures Scruple."""
    python = ENVIRONMENT / "bin/python"
    if not python.exists():
        run([sys.executable, "-m", "venv", ENVIRONMENT])
    run([python, "-m", "pip", "install", "--quiet", "-r", ROOT / "bench/requirements.txt"])
    run(["cargo", "build", "--release", "--workspace", "--examples", "--bins"])
    run([ROOT / "target/release/scruple", "mini", "--out", WORLD])
    return python, ROOT / "target/release/examples/throughput"


def main():
    """Measures both sides in turn and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often to run each side (default 3)")
    parser.add_argument("--profile", action="store_true", help="print a profile of both sides")
    parser.add_argument("--torch-side", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.torch_side:
        return torch_side(arguments.profile)

    python, throughput = prepare()
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "RAYON_NUM_THREADS": str(THREADS)}
    commands = {
        "PyTorch": [python, __file__, "--torch-side"],
        "Scruple": [throughput, MODEL, LABELS],
    }
    results = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            results[name].append(json.loads(run(command, env=environment).splitlines()[-1]))
    for ours, theirs in zip(results["Scruple"][0]["losses"], results["PyTorch"][0]["losses"]):
        assert abs(ours - theirs) < 1e-3, f"the two sides train differently: loss {ours} against {theirs}"

    median = lambda name, key: statistics.median(result[key] for result in results[name])
    print("| | PyTorch | Scruple | ratio |\n| --- | --- | --- | --- |")
    for key in [*RATES, "train_step_s", "peak_rss_mb"]:
        theirs, ours = median("PyTorch", key), median("Scruple", key)
        print(f"| {key} | {theirs:,.5g} | {ours:,.5g} | {ours / theirs:.2f} |")
    if arguments.profile:
        run([*commands["PyTorch"], "--profile"], env=environment)
        record = ["perf", "record", "--output", ROOT / "target/perf.data", "--quiet"]
        run([*record, "--", *commands["Scruple"]], env=environment)
        report = ["perf", "report", "--input", ROOT / "target/perf.data", "--no-children", "--percent-limit", "1", "--stdio"]
        print(run(report, env=environment))


if __name__ == "__main__":
    main()
