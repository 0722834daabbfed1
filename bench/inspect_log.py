"""Opens logs of `scruple eval --inspect-log` with inspect_ai itself, and compares them with the results.

    python -m venv /tmp/inspect && /tmp/inspect/bin/pip install -r bench/inspect-requirements.txt
    scruple eval ... --out out/eval/base --inspect-log logs
    /tmp/inspect/bin/python bench/inspect_log.py logs out/eval/base/SUITE ...

Every log that the library lists must open, whole and by its header alone; every sample of the results must be in one of
them with its response, its images, its scores and, where a rate is over it that it is not scored for, with inspect_ai's own
mark for that. A folder of results is the one with summary.json and responses.jsonl.
"""

import json
import math
import sys
from pathlib import Path

from inspect_ai.log import list_eval_logs, read_eval_log, read_eval_log_sample_summaries


def records(results):
    with open(results / "responses.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def expected_scores(record, summary):
    """The scores of a record by name; NaN where it is unscored."""
    if "counts" not in record:  # Items: the library's own rates are told by the log.
        return None
    scores = {rate: math.nan if counts is None else float(counts) for rate, counts in record["counts"].items()}
    for info in summary.get("scores", []):
        value = record.get("scores", {}).get(info["name"])
        if value is not None or "unscored" in record["judgement"]:
            scores[info["name"]] = math.nan if value is None else value
    return scores


def same(left, right):
    return left == right or (math.isnan(left) and math.isnan(right))


def images_of(messages):
    parts = [part for message in messages if not isinstance(message.content, str) for part in message.content]
    return [part.image for part in parts if part.type == "image"]


def check_sample(sample, record, index, summary):
    """How many of the sample's scores are unscored."""
    response = record["samples"][index]["response"] if "samples" in record else record["response"]
    assert sample.output.completion == response, (sample.id, "response")
    parts = [part for message in record["item"]["messages"] if isinstance(message["content"], list) for part in message["content"]]
    shown = images_of(sample.messages)
    assert len(shown) == sum(part["type"] == "image" for part in parts), (sample.id, "images")
    assert all(image.startswith("data:image/") for image in shown), (sample.id, "images are not embedded")
    found = {name: score.as_float() for name, score in (sample.scores or {}).items()}
    expected = expected_scores(record, summary)
    if expected is not None:
        assert found.keys() == expected.keys(), (sample.id, found, expected)
        assert all(same(found[name], value) for name, value in expected.items()), (sample.id, found, expected)
    elif "unscored" in record["judgement"]:
        assert all(math.isnan(value) for value in found.values()), (sample.id, found)
    for name, score in (sample.scores or {}).items():
        assert not math.isnan(found[name]) or (score.reason and score.explanation), (sample.id, name, "no reason")
    return sum(map(math.isnan, found.values()))


def check_figures(log, summary):
    """The rates of the log are those of summary.json."""
    if "groups" not in summary:
        return
    overall = summary["groups"][0]["rates"]
    for score in log.results.scores:
        rate = overall.get(score.name)
        if rate is None:
            continue
        assert (score.scored_samples, score.unscored_samples) == (rate["n"], rate["items"] - rate["n"]), score.name
        for key in ["percent", "low", "high", "lowest", "highest"]:
            value = score.metrics[key].value if key in score.metrics else None
            assert value == rate[key], (score.name, key)


def check(log_info, by_model):
    header = read_eval_log(log_info, header_only=True)
    assert header.status == "success" and header.samples is None
    log = read_eval_log(log_info, resolve_attachments=True)
    results = by_model[(log.eval.task, log.eval.model)]
    summary = json.loads((results / "summary.json").read_text())
    by_id = {record["item"]["id"]: record for record in records(results)}
    n_samples = sum(len(record.get("samples", [0])) for record in by_id.values())
    assert len(log.samples) == n_samples == log.results.total_samples, (len(log.samples), n_samples)
    assert len(read_eval_log_sample_summaries(log_info)) == n_samples
    n_unscored = sum(check_sample(sample, by_id[str(sample.id)], sample.epoch - 1, summary) for sample in log.samples)
    check_figures(log, summary)
    n_errors = sum(sample.error is not None for sample in log.samples)
    assert log.results.completed_samples == n_samples - n_errors
    n_images = sum(len(images_of(sample.messages)) for sample in log.samples)
    print(f"{log.eval.task} by {log.eval.model}: {n_samples} samples, {n_images} images, {n_unscored} unscored scores, {n_errors} errors")


def main():
    logs, *folders = map(Path, sys.argv[1:])
    by_model = {}
    for results in folders:
        summary = json.loads((results / "summary.json").read_text())
        by_model[(summary.get("suite", "scruple-eval"), summary["model"])] = results
    found = list_eval_logs(str(logs))
    assert len(found) == len(by_model), f"{len(found)} logs of {len(by_model)} evaluations"
    for log_info in found:
        check(log_info, by_model)


main()
