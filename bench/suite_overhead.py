"""What `scruple eval --suite` itself takes: 10,000 items of two small images, as MIS has them, against an endpoint that
answers in a millisecond, policy and judge alike. Prints one JSON line.

    python3 bench/suite_overhead.py target/release/scruple [ITEMS] [IN_FLIGHT]

Needs no packages. At most 60 s and 300 MB are expected of 10,000 items on two cores, the endpoint's own share included.
"""

import asyncio
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

SIDE = 64
ANSWER = json.dumps({"perception_level": "L1", "safe": True})


def png(seed):
    """A small picture of one color and some noise, so that no two files are the same."""
    noise = random.Random(seed)
    row = bytes([0]) + bytes(noise.choices(range(256), k=3)) * SIDE
    noisy = bytes([0]) + noise.randbytes(3 * SIDE)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))]
    parts += [(b"IDAT", zlib.compress(row * (SIDE - 1) + noisy)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def write_items(folder, count):
    rows = []
    for number in range(count):
        images = [f"easy_image/{number}/object{k}.png" for k in (1, 2)]
        for index, image in enumerate(images):
            path = folder / image
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(2 * number + index))
        question = f"Which of the two plants number {number} needs more water?"
        rows.append({"category": "Gardens", "question": question, "image_path1": images[0], "image_path2": images[1]})
    (folder / "mis_easy.json").write_text(json.dumps(rows))


async def answer(reader, writer):
    message = {"role": "assistant", "content": ANSWER}
    usage = {"prompt_tokens": 500, "completion_tokens": 12}
    body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in request.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            await asyncio.sleep(0.001)
            writer.write(head + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def serve():
    """Starts the endpoint in a thread of its own; its port."""
    loop, started = asyncio.new_event_loop(), threading.Event()
    ports = []

    async def begin():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        started.set()

    def run():
        loop.create_task(begin())
        loop.run_forever()

    threading.Thread(target=run, daemon=True).start()
    started.wait()
    return ports[0]


def main():
    binary = Path(sys.argv[1]).absolute()
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    in_flight = int(sys.argv[3]) if len(sys.argv) > 3 else 64
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_items(folder / "mis", count)
        port = serve()
        roles = [
            f"role.{role}.{setting}"
            for role in ("policy", "judge")
            for setting in (f"url=http://127.0.0.1:{port}/v1", "model=fake", f"concurrency={in_flight}")
        ]
        command = [binary, "eval", "--quiet", "--suite", "mis", "--data", folder, "--out", folder / "out", *roles]
        for run in ("first", "again"):
            began = time.monotonic()
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
            report = {"run": run, "items": count, "calls": 2 * count, "exit": os.waitstatus_to_exitcode(status)}
            report |= {"seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1)}
            print(json.dumps(report | {"peak_rss_mb": round(usage.ru_maxrss / 1024)}), flush=True)


if __name__ == "__main__":
    main()
