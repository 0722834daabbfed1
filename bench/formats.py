"""Proves `scruple data` with the libraries whose files it reads and writes: datasets, pyarrow, pandas and trl.

    python3 bench/formats.py

Makes its own Python environment under target/bench-formats-env from bench/formats-requirements.txt (no PyTorch), builds
the debug binary and works in a folder that it removes. First a file of ours is converted to every format, and each is
opened with the library that it is for:

- hf, verl, easyr1, trl: `datasets` decodes the same images, `pyarrow` reads structs of bytes and path;
- trl: `is_conversational` accepts each row, and `prepare_multimodal_messages` gives each image part its image;
- sharegpt, swift: the fields of LLaMA-Factory's and ms-swift's documentation, and a placeholder for each image;
- vlmevalkit: pandas reads the table as VLMEvalKit does, every image decodes.

Then files that `datasets` and `pyarrow` wrote, in the layouts of the trainers' own scripts, are checked and converted
to ours; the messages and the images' bytes must be the same.
"""

import ast
import base64
import io
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / "target/bench-formats-env"
SCRUPLE = ROOT / "target/debug/scruple"
N_ITEMS = 40


def run(command, **more):
    """Runs a command; raises an error if it fails."""
    return subprocess.run([str(word) for word in command], check=True, **more)


def random_image(rng, form):
    """The bytes of an image of random pixels."""
    from PIL import Image

    side = rng.randrange(8, 40)
    image = Image.frombytes("RGB", (side, side), bytes(rng.randrange(256) for _ in range(side * side * 3)))
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def pixels(image):
    """Size and pixels of a decoded image."""
    image = image.convert("RGB")
    return image.size, image.tobytes()


def decoded(data):
    """Size and pixels of an encoded image."""
    from PIL import Image

    return pixels(Image.open(io.BytesIO(data)))


def source(folder, rng):
    """A file of ours: items with no image, one and several, with and without label; returns its rows and images."""
    (folder / "images").mkdir()
    rows, images = [], []
    for index in range(N_ITEMS):
        names, shown = [], []
        for place in range(index % 4):
            form = ["PNG", "JPEG", "WEBP"][(index + place) % 3]
            name = f"images/{index}_{place}.{form.lower()}"
            shown.append(random_image(rng, form))
            (folder / name).write_bytes(shown[-1])
            names.append({"type": "image", "image": name})
        messages = [{"role": "user", "content": [*names, {"type": "text", "text": f"Frage {index}: \"what\"\nis this?"}]}]
        if index % 5:
            messages.append({"role": "assistant", "content": f"Answer {index}.\tIt is \"ünsafe\"."})
        kind = ["hazardous", "benign"][index % 2]
        rows.append({"id": f"item-{index}", "messages": messages, "kind": kind, "category": "Some, thing"})
        rows[-1].update({"split": "train", "score": index, "tags": ["a", "b"], "truth": {"index": index}})
        images.append(shown)
    (folder / "ours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows, images


def question(row):
    """The text of a row of ours, with a placeholder for each image."""
    return "".join(part.get("text", "<image>") for part in row["messages"][0]["content"])


def label(row):
    """The label of a row of ours, or nothing."""
    return row["messages"][1]["content"] if len(row["messages"]) > 1 else ""


def convert(path, out, to, *more):
    """Converts; returns the report."""
    done = run([SCRUPLE, "data", "convert", path, "--to", to, "--out", out, "--json", *more], capture_output=True)
    return json.loads(done.stdout)


def check(path):
    """Checks; the file must be without errors. Returns the report."""
    return json.loads(run([SCRUPLE, "data", "check", path, "--json"], capture_output=True).stdout)


def columns(name, row):
    """The expected columns of a row of ours in each parquet format, beside its images."""
    turns = [{"role": "user", "content": question(row)}]
    if name == "hf":
        answer = [{"role": "assistant", "content": label(row)}] if label(row) else []
        return {"messages": turns + answer, "id": row["id"], "kind": row["kind"], "score": row["score"]}
    if name == "verl":
        return {
            "data_source": "scruple",
            "prompt": turns,
            "reward_model": {"style": "rule", "ground_truth": label(row)},
        }
    if name == "easyr1":
        return {"problem": question(row), "answer": label(row), "id": row["id"]}
    return {}


def our_parquet(folder, rows, images):
    """Our parquet files, opened by `datasets` and `pyarrow`."""
    import datasets
    import pyarrow.parquet

    for name in ["hf", "verl", "easyr1", "trl"]:
        path = folder / f"{name}.parquet"
        report = convert(folder / "ours.jsonl", path, name)
        assert (report["items_written"], report["losses"]) == (N_ITEMS, []), report
        data = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(folder / "cache"))
        feature = data.features["images"]
        assert isinstance(getattr(feature, "feature", feature), datasets.Image), feature
        assert len(data) == N_ITEMS
        for row, shown, read in zip(rows, images, data, strict=True):
            assert [pixels(image) for image in read["images"]] == [decoded(data) for data in shown], name
            for column, value in columns(name, row).items():
                assert read[column] == value, (name, column, read[column], value)
        table = pyarrow.parquet.read_table(path)
        for shown, cell in zip(images, table["images"].to_pylist(), strict=True):
            assert [image["bytes"] for image in cell] == shown, name
        print(f"{name}: datasets decodes {sum(map(len, images))} images of {N_ITEMS} rows, pyarrow reads their bytes")


def our_trl(folder, images):
    """Our TRL file, read by TRL."""
    import datasets
    from trl.data_utils import is_conversational, prepare_multimodal_messages

    data = datasets.load_dataset(
        "parquet", data_files=str(folder / "trl.parquet"), split="train", cache_dir=str(folder / "cache")
    )
    for read, shown in zip(data, images, strict=True):
        sides = {side: read[side] for side in ["prompt", "completion"] if read[side] is not None}
        assert is_conversational(sides), sides
        prepared = prepare_multimodal_messages(sum(sides.values(), []), images=read["images"])
        parts = [part for message in prepared for part in message["content"]]
        given = [part["image"] for part in parts if part["type"] == "image"]
        assert [pixels(image) for image in given] == [decoded(data) for data in shown]
    print("trl: every row is conversational, every image part gets its image")


def our_text_formats(folder, rows, images):
    """LLaMA-Factory's and ms-swift's fields as documented; VLMEvalKit's table."""
    import pandas

    out = folder / "elsewhere"
    assert convert(folder / "ours.jsonl", out / "lf.json", "sharegpt")["losses"] == []
    info = json.loads((out / "dataset_info.json").read_text())["lf"]
    assert info["file_name"] == "lf.json" and info["formatting"] == "sharegpt"
    tags = info["columns"]
    for row, shown, read in zip(rows, images, json.loads((out / "lf.json").read_text()), strict=True):
        turns = read[tags["messages"]]
        assert [turn["from"] for turn in turns] == ["human", "gpt"][: len(turns)]
        assert turns[0]["value"] == question(row) and turns[0]["value"].count("<image>") == len(read[tags["images"]])
        assert [(out / path).read_bytes() for path in read[tags["images"]]] == shown
    assert convert(folder / "ours.jsonl", out / "swift.jsonl", "swift")["losses"] == []
    lines = (out / "swift.jsonl").read_text().splitlines()
    for row, shown, read in zip(rows, images, map(json.loads, lines), strict=True):
        assert read["messages"][0] == {"role": "user", "content": question(row)}
        assert all(set(message) == {"role", "content"} for message in read["messages"])
        assert [(out / path).read_bytes() for path in read["images"]] == shown
    report = convert(folder / "ours.jsonl", out / "table.tsv", "vlmevalkit")
    assert {loss["field"] for loss in report["losses"]} == {"score", "tags"}, report["losses"]
    table = pandas.read_csv(out / "table.tsv", sep="\t", keep_default_na=False)
    for row, shown, (_, read) in zip(rows, images, table.iterrows(), strict=True):
        cell = read["image"]
        cells = ast.literal_eval(cell) if cell.startswith("[") else [cell] if cell else []
        assert [base64.b64decode(cell) for cell in cells] == shown
        assert read["question"] == question(row).replace("<image>", "") and read["answer"] == label(row)
    print("sharegpt, swift, vlmevalkit: fields, placeholders and images are as documented")


def back(folder, path, rows, images):
    """Converts a file of theirs to ours and compares."""
    report = check(path)
    assert report["errors"] == 0, report["problems"]
    out = folder / "back" / (path.stem + ".jsonl")
    report = convert(path, out, "openai")
    read = [json.loads(line) for line in out.read_text().splitlines()]
    for row, shown, item in zip(rows, images, read, strict=True):
        parts = item["messages"][0]["content"]
        parts = [{"type": "text", "text": parts}] if isinstance(parts, str) else parts
        text = "".join(part.get("text", "<image>") for part in parts)
        assert text == question(row), (path, text, question(row))
        found = [(out.parent / part["image"]).read_bytes() for part in parts if part["type"] == "image"]
        assert found == shown, path
        assert label(item) == label(row), (path, item)
    return report


def their_files(folder, rows, images):
    """Files as `datasets` and `pyarrow` write them, read by us."""
    import datasets
    import pandas
    import pyarrow
    import pyarrow.parquet

    cells = [[{"bytes": data, "path": None} for data in shown] for shown in images]
    prompts = [[{"role": "user", "content": question(row)}] for row in rows]
    answers = [[{"role": "assistant", "content": label(row)}] if label(row) else [] for row in rows]
    parts = [
        [{"role": "user", "content": [{"type": "image", "text": None}] * len(shown)
          + [{"type": "text", "text": question(row).replace("<image>", "")}]}]
        for row, shown in zip(rows, images)
    ]
    layouts = {
        "hf": {"messages": [one + two for one, two in zip(prompts, answers)], "images": cells},
        "verl": {
            "data_source": ["hiyouga/geometry3k"] * N_ITEMS,
            "prompt": prompts,
            "images": cells,
            "ability": ["math"] * N_ITEMS,
            "reward_model": [{"style": "rule", "ground_truth": label(row)} for row in rows],
            "extra_info": [{"split": "train", "index": i, "answer": "", "question": ""} for i in range(N_ITEMS)],
        },
        "easyr1": {"problem": list(map(question, rows)), "answer": list(map(label, rows)), "images": cells},
        "trl": {"prompt": parts, "completion": answers, "images": cells},
    }
    for name, layout in layouts.items():
        data = datasets.Dataset.from_dict(layout).cast_column("images", datasets.List(datasets.Image()))
        path = folder / f"theirs_{name}.parquet"
        data.to_parquet(path)
        assert back(folder, path, rows, images)["losses"] == []
        # The same without the library's metadata, in other types of Arrow, compression and sizes of row groups.
        table = pyarrow.table(layout)
        large = pyarrow.large_list(
            pyarrow.struct([("bytes", pyarrow.large_binary()), ("path", pyarrow.large_string())])
        )
        column = table.schema.get_field_index("images")
        table = table.set_column(column, "images", pyarrow.array(layout["images"], type=large))
        path = folder / f"plain_{name}.parquet"
        pyarrow.parquet.write_table(table, path, compression="zstd", row_group_size=7, use_dictionary=name != "hf")
        back(folder, path, rows, images)
    cells = [[base64.b64encode(data).decode() for data in shown] for shown in images]
    table = pandas.DataFrame({
        "index": range(N_ITEMS),
        "image": [str(cell) if len(cell) > 1 else "".join(cell) for cell in cells],
        "question": [question(row).replace("<image>", "") for row in rows],
        "answer": list(map(label, rows)),
    })
    path = folder / "theirs.tsv"
    table.to_csv(path, sep="\t", index=False)
    back(folder, path, rows, images)
    print(f"{', '.join(layouts)}: what datasets and pyarrow wrote is read; vlmevalkit: what pandas wrote")


def both_ways(folder, rows, images):
    """Every format of ours back to ours: the same items and images."""
    for name, ending in [("hf", "parquet"), ("verl", "parquet"), ("easyr1", "parquet"), ("trl", "parquet")]:
        out = folder / "both" / f"{name}.jsonl"
        assert convert(folder / f"{name}.{ending}", out, "openai")["losses"] == []
        for row, read in zip(rows, map(json.loads, out.read_text().splitlines()), strict=True):
            for message in read["messages"]:
                if isinstance(message["content"], list):
                    for part in message["content"]:
                        part.pop("image", None)
            expected = json.loads(json.dumps(row))
            for part in expected["messages"][0]["content"]:
                part.pop("image", None)
            if len(expected["messages"][0]["content"]) == 1:
                expected["messages"][0]["content"] = expected["messages"][0]["content"][0]["text"]
            assert read == expected, (name, read, expected)
    print("hf, verl, easyr1, trl and back: the same items")


def prove():
    """Everything, in a folder that is removed."""
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows, images = source(folder, rng)
        our_parquet(folder, rows, images)
        our_trl(folder, images)
        our_text_formats(folder, rows, images)
        both_ways(folder, rows, images)
        their_files(folder, rows, images)


def main():
    """Makes the environment and the binary, then runs itself in that environment."""
    if os.environ.get("SCRUPLE_BENCH_INSIDE"):
        return prove()
    python = ENVIRONMENT / "bin/python"
    if not python.exists():
        run([sys.executable, "-m", "venv", ENVIRONMENT])
    run([python, "-m", "pip", "install", "--quiet", "-r", ROOT / "bench/formats-requirements.txt"])
    run([python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", ROOT / "bench/formats-requirements-alone.txt"])
    run(["cargo", "build", "--locked", "--quiet", "--workspace"], cwd=ROOT)
    offline = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    offline["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    run([python, __file__], env={**os.environ, **offline, "SCRUPLE_BENCH_INSIDE": "1"})


if __name__ == "__main__":
    main()
