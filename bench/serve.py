"""Proves and measures `scruple serve` with the official `openai` client, on the demo's base model.

    python3 bench/serve.py [--rounds N]

Makes its own Python environment under target/bench-serve-env from bench/serve-requirements.txt, builds the release
binary and starts it on a free port. First it checks that the client parses every response: whole and streamed ones,
several completions, log-probabilities, a JSON schema, vLLM's sampling parameters, errors. Then it measures

- the time to first token of a long prompt with many images, for one completion and for a group of 8, in turn, with
  images that the server has not cached;
- the longest pause in one client's stream while a prompt of thousands of tokens is prefilled in chunks of 512;
- the tokens a second of one client, and of 64 concurrent clients, each sending again as soon as it has a response.

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
LONG_IMAGES, LONG_WORDS, LONGEST_WORDS = 48, 1200, 2600
CHUNK = 512
QUESTION = "What happens if I put the object in the first image into the object in the second image?"


def random_image(rng, side=84):
    """A PNG of random blocks as a message part."""
    blocks = [[bytes(rng.randrange(256) for _ in range(3)) for _ in range(6)] for _ in range(6)]
    rows = b"".join(b"\0" + b"".join(blocks[y * 6 // side][x * 6 // side] for x in range(side)) for y in range(side))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    return {"type": "image_url", "image_url": {"url": url}}


def user(*parts):
    """A dialogue of one message."""
    return [{"role": "user", "content": [*parts, {"type": "text", "text": QUESTION}]}]


def check(client, rng):
    """Sends every kind of request once; fails where a response is not the expected one."""
    import openai

    model = client.models.list().data[0].id
    messages = user(random_image(rng), random_image(rng))
    complete = lambda **more: client.chat.completions.create(
        model=model, messages=messages, **{"max_tokens": 40, "seed": 3, **more}
    )
    whole = complete(n=2, logprobs=True, top_logprobs=2)
    assert [choice.index for choice in whole.choices] == [0, 1] and whole.usage.completion_tokens > 2
    assert all(len(entry.top_logprobs) == 2 for entry in whole.choices[0].logprobs.content)
    texts = ["", ""]
    for chunk in complete(n=2, stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert chunk.usage == whole.usage and texts == [choice.message.content for choice in whole.choices]

    vllm = {"top_k": 20, "min_p": 0.01, "repetition_penalty": 1.05, "min_tokens": 2, "stop_token_ids": [7]}
    openai_s = {"frequency_penalty": 0.1, "presence_penalty": 0.1, "logit_bias": {"8": -100}}
    assert complete(extra_body=vllm, **openai_s).usage.completion_tokens > 2

    schema = {
        "type": "object",
        "properties": {"safe": {"type": "boolean"}, "score": {"type": "integer", "minimum": 0, "maximum": 9}},
        "required": ["safe", "score"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}}
    for choice in complete(n=8, response_format=form, max_tokens=200).choices:
        verdict = json.loads(choice.message.content)
        assert set(verdict) == {"safe", "score"} and 0 <= verdict["score"] <= 9, verdict
    for error, call in [
        (openai.BadRequestError, lambda: complete(temperature=-1)),
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


def words_of(rng, count):
    """Text of so many words."""
    return " ".join(rng.choice(["the", "cat", "kettle", "water", "red", "what", "is"]) for _ in range(count))


def longest_pause(client, model, rng):
    """Tokens of a long prompt, seconds to its first token, and the longest pause in another stream meanwhile."""
    stream = client.chat.completions.create(
        model=model, messages=user(), max_tokens=3000, stream=True, extra_body={"ignore_eos": True},
    )
    times, other = [], {}

    def request():
        messages = [{"role": "user", "content": words_of(rng, LONGEST_WORDS)}]
        began = time.perf_counter()
        answer = client.chat.completions.create(model=model, messages=messages, max_tokens=1)
        other.update(tokens=answer.usage.prompt_tokens, took=time.perf_counter() - began)

    thread = threading.Thread(target=request)
    for _ in stream:
        times.append(time.perf_counter())
        if len(times) == 50:
            thread.start()
        if "took" in other:
            break
    thread.join()
    stream.close()
    assert "took" in other, "the stream ended first"
    return other["tokens"], other["took"], max(after - before for before, after in zip(times[50:], times[51:]))


def first_token(client, model, rng, n):
    """Seconds to the first token of any completion, and until every completion has one."""
    words = words_of(rng, LONG_WORDS)
    parts = [random_image(rng) for _ in range(LONG_IMAGES)]
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
    raise AssertionError(f"expected {n} completions, got {len(seen)}")


async def throughput(client, model, n_clients, n_requests):
    """Tokens a second of clients that send `n_requests` each, one after another; and the number of errors."""
    rng = random.Random(n_clients)
    dialogues = [[user(random_image(rng), random_image(rng)) for _ in range(n_requests)] for _ in range(n_clients)]
    tokens, errors = 0, 0

    async def one_client(own):
        nonlocal tokens, errors
        for messages in own:
            try:
                answer = await client.chat.completions.create(
                    model=model, messages=messages, max_tokens=NEW_TOKENS, extra_body={"ignore_eos": True},
                )
                tokens += answer.usage.completion_tokens
            except Exception as error:
                print(f"error: {error}", file=sys.stderr)
                errors += 1

    began = time.perf_counter()
    await asyncio.gather(*(one_client(own) for own in dialogues))
    return tokens / (time.perf_counter() - began), errors


def measure(url, rounds):
    """All of it, in the environment that has the client."""
    import openai

    options = {"base_url": f"{url}/v1", "api_key": KEY, "max_retries": 0, "timeout": 600}
    client, rng = openai.OpenAI(**options), random.Random(0)
    model = check(client, rng)
    print("the client parses every response")

    times = {1: [], GROUP: []}
    for n in [1, GROUP] * (rounds + 1):
        times[n].append(first_token(client, model, rng, n))
    median = lambda n, which: 1000 * statistics.median(time[which] for time in times[n][1:])
    alone = median(1, 0)
    print(f"first token, {LONG_IMAGES} images and {LONG_WORDS} words, n=1: {alone:.0f} ms")
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
    """How long a stream pauses while a long prompt is prefilled in chunks."""
    import openai

    client, rng = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=600), random.Random(0)
    model = client.models.list().data[0].id
    found = [longest_pause(client, model, rng) for _ in range(rounds + 1)][1:]
    took, pause = (1000 * statistics.median(round[which] for round in found) for which in (1, 2))
    print(f"a prompt of {found[0][0]} tokens in chunks of {CHUNK}: first token after {took:.0f} ms, and the longest pause", end="")
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
    limit = json.dumps({"image": LONG_IMAGES})
    for settings, what in [
        (["--limit-mm-per-prompt", limit], []),
        (["--max-num-batched-tokens", str(CHUNK)], ["--pauses"]),
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
