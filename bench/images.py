"""Measures reading and processing images: Scruple against Hugging Face's slow and fast Qwen2-VL processors.

    python3 bench/images.py [--images N] [--rounds N]

Uses the environment of bench/compare.py. Images are PNG files of photographic sizes with smooth colors and noise, made
from a seed. All sides read and decode them in every round, with one thread and with two. Scruple's values must equal
the slow processor's bit for bit.
"""

import argparse
import json
import os
import statistics
import sys
import time

from compare import ENVIRONMENT, MODEL, ROOT, run

FOLDER = ROOT / "target/bench-images"
SIZES = [(1024, 768), (640, 480), (768, 1024), (1280, 720)]
# As Qwen2.5-VL publishes them; the miniature model's own would shrink every image to 84 pixels a side.
SETTINGS = {"min_pixels": 3136, "max_pixels": 12845056}


def write_images(count):
    """Writes the images; returns their paths."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        y, x = np.mgrid[0:height, 0:width]
        waves = [np.sin(x / rng.uniform(20, 90) + y / rng.uniform(20, 90)) * 100 + 128 for _ in range(3)]
        pixels = np.stack(waves, -1) + rng.normal(0, 6, (height, width, 3))
        paths.append(FOLDER / f"{number}.png")
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(paths[-1], compress_level=1)
    return paths


def prepare_model():
    """A folder with the miniature model's text and the published image settings."""
    folder = FOLDER / "model"
    folder.mkdir(parents=True, exist_ok=True)
    for file in MODEL.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    settings = json.loads((MODEL / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(settings | SETTINGS))
    return folder


def python_side(kind, threads, rounds, count):
    """Prints the rate of a processor of transformers; the slow one leaves its values for comparison."""
    import torch
    from PIL import Image
    from transformers import Qwen2VLImageProcessor, Qwen2VLImageProcessorFast

    torch.set_num_threads(threads)
    classes = {"slow": Qwen2VLImageProcessor, "fast": Qwen2VLImageProcessorFast}
    processor = classes[kind].from_pretrained(FOLDER / "model")
    paths = [FOLDER / f"{number}.png" for number in range(count)]
    process = lambda path: processor(Image.open(path).convert("RGB"), return_tensors="pt")["pixel_values"]
    seconds = []
    for round in range(rounds + 1):
        began = time.perf_counter()
        values = [process(path) for path in paths]
        seconds.append(time.perf_counter() - began)
    if kind == "slow":
        for number, value in enumerate(values):
            (FOLDER / f"slow-{number}.f32").write_bytes(value.numpy().astype("<f4").tobytes())
    print(json.dumps({"images_per_s": count / statistics.median(seconds[1:])}))


def main():
    """Measures every side and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    count, rounds = arguments.images, arguments.rounds
    if arguments.side:
        kind, threads = arguments.side
        return write_images(count) if kind == "write" else python_side(kind, int(threads), rounds, count)

    python = ENVIRONMENT / "bin/python"
    if not python.exists():
        run([sys.executable, "-m", "venv", ENVIRONMENT])
    run([python, "-m", "pip", "install", "--quiet", "-r", ROOT / "bench/requirements.txt"])
    run(["cargo", "build", "--release", "--workspace", "--examples"])
    model = prepare_model()
    itself = [python, __file__, "--images", str(count), "--rounds", str(rounds), "--side"]
    run([*itself, "write", "1"])
    images = [FOLDER / f"{number}.png" for number in range(count)]
    print("| threads | slow, images/s | fast | Scruple | to slow | to fast |\n| --- | --- | --- | --- | --- | --- |")
    for threads in ("1", "2"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads}
        rate = lambda command: json.loads(run(command, env=environment).splitlines()[-1])["images_per_s"]
        slow, fast = rate([*itself, "slow", threads]), rate([*itself, "fast", threads])
        ours = rate([ROOT / "target/release/examples/process_images", model, str(rounds), FOLDER, *images])
        print(f"| {threads} | {slow:.1f} | {fast:.1f} | {ours:.1f} | {ours / slow:.1f} | {ours / fast:.1f} |")
    for number in range(count):
        equal = (FOLDER / f"{number}.f32").read_bytes() == (FOLDER / f"slow-{number}.f32").read_bytes()
        assert equal, f"image {number}: values differ from the slow processor's"
    print(f"Values of all {count} images equal the slow processor's, bit for bit.")


if __name__ == "__main__":
    main()
