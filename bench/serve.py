"""Proves and measures `scruple serve` with the official `openai` client, on the demo's base model.

    python3 bench/serve.py [--rounds N]

Makes its own Python environment under target/bench-serve-env from bench/serve-requirements.txt, builds the release
binary and starts it on a free port. First it checks that the client understands what it is answered: whole and streamed
answers, several completions, log-probabilities, a JSON schema, vLLM's fields of sampling, errors. Then it measures

- the time until the first token of a long prompt with many pictures, asked for one completion and for a group of 8, in
  turn, with pictures that the server has not seen;
- the longest pause in one client's stream while a prompt of thousands of tokens is read in pieces of 512;
- the tokens a second that one client draws, and 64 clients at once, each asking again as soon as it is answered.

The client shares the machine with the server, so that its own work is part of every figure.
"""

import argparse
import asyncio
import base64
import json
import os
import random
import statistics
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / "target/bench-serve-env"
MODEL = ROOT / "crates/cli/assets/base"
KEY = "bench"
GROUP, CLIENTS, NEW_TOKENS = 8, 64, 64
LONG_PICTURES, LONG_WORDS, LONGEST_WORDS = 48, 1200, 2600
PIECE = 512
QUESTION = "What happens if I put the object in the first image into the object in the second image?"


def picture(chance, side=84):
    """A PNG of random blocks as a message part."""
    blocks = [[bytes(chance.randrange(256) for _ in range(3)) for _ in range(6)] for _ in range(6)]
    rows = b"".join(b"\0" + b"".join(blocks[y * 6 // side][x * 6 // side] for x in range(side)) for y in range(side))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    return {"type": "image_url", "image_url": {"url": url}}


def user(*parts):
    """A dialogue of one message."""
    return [{"role": "user", "content": [*parts, {"type": "text", "text": QUESTION}]}]


def check(client, chance):
    """Asks for everything once; fails where the client gets something else than it should."""
    import openai

    model = client.models.list().data[0].id
    messages = user(picture(chance), picture(chance))
    ask = lambda **more: client.chat.completions.create(
        model=model, messages=messages, **{"max_tokens": 40, "seed": 3, **more}
    )
    whole = ask(n=2, logprobs=True, top_logprobs=2)
    assert [choice.index for choice in whole.choices] == [0, 1] and whole.usage.completion_tokens > 2
    assert all(len(entry.top_logprobs) == 2 for entry in whole.choices[0].logprobs.content)
    texts = ["", ""]
    for chunk in ask(n=2, stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert chunk.usage == whole.usage and texts == [choice.message.content for choice in whole.choices]

    vllm = {"top_k": 20, "min_p": 0.01, "repetition_penalty": 1.05, "min_tokens": 2, "stop_token_ids": [7]}
    openai_s = {"frequency_penalty": 0.1, "presence_penalty": 0.1, "logit_bias": {"8": -100}}
    assert ask(extra_body=vllm, **openai_s).usage.completion_tokens > 2

    schema = {
        "type": "object",
        "properties": {"safe": {"type": "boolean"}, "score": {"type": "integer", "minimum": 0, "maximum": 9}},
        "required": ["safe", "score"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}}
    for choice in ask(n=8, response_format=form, max_tokens=200).choices:
        verdict = json.loads(choice.message.content)
        assert set(verdict) == {"safe", "score"} and 0 <= verdict["score"] <= 9, verdict
    for error, call in [
        (openai.BadRequestError, lambda: ask(temperature=-1)),
        (openai.NotFoundError, lambda: client.chat.completions.create(model="other", messages=messages)),
        (openai.AuthenticationError, lambda: client.with_options(api_key="wrong").models.list()),
    ]:
        try:
            call()
        except error as raised:
            assert raised.body["message"], raised
        else:
            raise AssertionError(f"expected {error.__name__}")
    return model


def words_of(chance, count):
    """Text of so many words."""
    return " ".join(chance.choice(["the", "cat", "kettle", "water", "red", "what", "is"]) for _ in range(count))


def longest_pause(client, model, chance):
    """Tokens of a long prompt, seconds until its first token, and the longest pause that they mean to another's stream."""
    stream = client.chat.completions.create(
        model=model, messages=user(), max_tokens=3000, stream=True, extra_body={"ignore_eos": True},
    )
    times, asked = [], {}

    def ask():
        messages = [{"role": "user", "content": words_of(chance, LONGEST_WORDS)}]
        began = time.perf_counter()
        answer = client.chat.completions.create(model=model, messages=messages, max_tokens=1)
        asked.update(tokens=answer.usage.prompt_tokens, took=time.perf_counter() - began)

    other = threading.Thread(target=ask)
    for _ in stream:
        times.append(time.perf_counter())
        if len(times) == 50:
            other.start()
        if "took" in asked:
            break
    other.join()
    stream.close()
    assert "took" in asked, "the stream ended first"
    return asked["tokens"], asked["took"], max(after - before for before, after in zip(times[50:], times[51:]))


def first_token(client, model, chance, n):
    """Seconds until the first token of any completion, and until every completion has one."""
    words = words_of(chance, LONG_WORDS)
    parts = [picture(chance) for _ in range(LONG_PICTURES)]
    messages = user(*parts, {"type": "text", "text": words})
    began = time.perf_counter()
    stream = client.chat.completions.create(
        model=model, messages=messages, n=n, max_tokens=4, stream=True, extra_body={"ignore_eos": True},
    )
    first, seen = None, set()
    for chunk in stream:
        first = first or time.perf_counter() - began
        seen.update(choice.index for choice in chunk.choices)
        if len(seen) == n:
            return first, time.perf_counter() - began
    raise AssertionError(f"{len(seen)} of {n} completions came")


async def throughput(client, model, n_clients, n_requests):
    """Tokens a second that clients draw, each with `n_requests` one after another; and the number of errors."""
    chance = random.Random(n_clients)
    asked = [[user(picture(chance), picture(chance)) for _ in range(n_requests)] for _ in range(n_clients)]
    tokens, errors = 0, 0

    async def one_client(dialogues):
        nonlocal tokens, errors
        for messages in dialogues:
            try:
                answer = await client.chat.completions.create(
                    model=model, messages=messages, max_tokens=NEW_TOKENS, extra_body={"ignore_eos": True},
                )
                tokens += answer.usage.completion_tokens
            except Exception as error:
                print(f"error: {error}", file=sys.stderr)
                errors += 1

    began = time.perf_counter()
    await asyncio.gather(*(one_client(dialogues) for dialogues in asked))
    return tokens / (time.perf_counter() - began), errors


def measure(url, rounds):
    """All of it, in the environment that has the client."""
    import openai

    options = {"base_url": f"{url}/v1", "api_key": KEY, "max_retries": 0, "timeout": 600}
    client, chance = openai.OpenAI(**options), random.Random(0)
    model = check(client, chance)
    print("the client understands every answer")

    times = {1: [], GROUP: []}
    for n in [1, GROUP] * (rounds + 1):
        times[n].append(first_token(client, model, chance, n))
    median = lambda n, which: 1000 * statistics.median(time[which] for time in times[n][1:])
    alone = median(1, 0)
    print(f"first token, {LONG_PICTURES} pictures and {LONG_WORDS} words, n=1: {alone:.0f} ms")
    for what, which in [("first token of any", 0), ("first token of every", 1)]:
        print(f"{what} completion, n={GROUP}: {median(GROUP, which):.0f} ms, {median(GROUP, which) / alone:.2f} times")

    async def rates():
        async with openai.AsyncOpenAI(**options) as client:
            await throughput(client, model, 1, 4)
            found = []
            for _ in range(rounds):
                found.append((await throughput(client, model, 1, 24), await throughput(client, model, CLIENTS, 4)))
            return found

    found = asyncio.run(rates())
    one, many = (statistics.median(round[side][0] for round in found) for side in (0, 1))
    errors = sum(side[1] for round in found for side in round)
    print(f"one client: {one:,.0f} tokens/s; {CLIENTS} clients: {many:,.0f} tokens/s, {many / one:.2f} times; {errors} errors")


def measure_pauses(url, rounds):
    """How long a stream pauses while a long prompt is read in pieces."""
    import openai

    client, chance = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=600), random.Random(0)
    model = client.models.list().data[0].id
    found = [longest_pause(client, model, chance) for _ in range(rounds + 1)][1:]
    took, pause = (1000 * statistics.median(round[which] for round in found) for which in (1, 2))
    print(f"a prompt of {found[0][0]} tokens in pieces of {PIECE}: first token after {took:.0f} ms, and the longest pause", end="")
    print(f" of a stream beside it {pause:.0f} ms")


def run(command, **options):
    """Runs a command from the repository's root."""
    subprocess.run(command, cwd=ROOT, check=True, **options)


def main():
    """Prepares, serves and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often to measure (default 5)")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--pauses", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.url:
        return (measure_pauses if arguments.pauses else measure)(arguments.url, arguments.rounds)

    python = ENVIRONMENT / "bin/python"
    if not python.exists():
        run([sys.executable, "-m", "venv", ENVIRONMENT])
    run([python, "-m", "pip", "install", "--quiet", "-r", ROOT / "bench/serve-requirements.txt"])
    run(["cargo", "build", "--release", "--workspace", "--examples", "--bins"])
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    command = [target / "release/scruple", "serve", "--model", MODEL, "--port", "0", "--api-key", KEY]
    limit = json.dumps({"image": LONG_PICTURES})
    for settings, what in [
        (["--limit-mm-per-prompt", limit], []),
        (["--max-num-batched-tokens", str(PIECE)], ["--pauses"]),
    ]:
        server = subprocess.Popen([*command, *settings], stdout=subprocess.PIPE, text=True)
        try:
            url = server.stdout.readline().removeprefix("listening on ").strip()
            run([python, __file__, "--url", url, "--rounds", str(arguments.rounds), *what])
        finally:
            server.terminate()
            code = server.wait()
        assert code == 0, f"the server ended with {code}"


if __name__ == "__main__":
    main()
