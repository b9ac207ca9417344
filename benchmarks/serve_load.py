"""The server under load, beside the Sampler on the same prompts: latencies, and tokens per second.

    python benchmarks/serve_load.py --json benchmarks/results/serve_load.json

A server process and this process decode the same prompts in turns, one thread of torch each, ``repeats`` times; the
other one waits meanwhile. ``clients`` threads ask without a stream, each for its next answer as soon as it has one.
Offline, the Sampler gets all prompts at once with the same batch size. Beside the wall clock, tokens per second of
processor time are told, which other programs on the machine disturb less. Everything is bounded: the number of
requests, and each request's time. Traffic goes to the loopback address alone.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

import dlmsample as ds

OPTIONS: dict[str, Any] = {"tokens_per_step": 2}
NEW_TOKENS = 96


def questions(count: int) -> list[str]:
    return [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=count)]


def ask(port: int, prompt: str) -> tuple[float, int, str]:
    """Seconds, tokens and text of one answer."""
    body = {
        "model": "nano",
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": NEW_TOKENS,
        "policy": "unmask",
        "options": OPTIONS,
        "seed": 0,
    }
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    assert response.status == 200, answer
    seconds = time.perf_counter() - begun
    return seconds, answer["usage"]["completion_tokens"], answer["choices"][0]["message"]["content"]


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, user and system."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def served(port: int, pid: int, prompts: list[str], clients: int) -> tuple[dict[str, Any], list[str]]:
    """One run over all prompts by so many clients."""
    before, begun = cpu_seconds(pid), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(lambda prompt: ask(port, prompt), prompts))
    wall, cpu = time.perf_counter() - begun, cpu_seconds(pid) - before
    took = sorted(seconds for seconds, _, _ in answers)
    tokens = sum(count for _, count, _ in answers)
    figures = {
        "tokens": tokens,
        "tokens_per_wall_second": tokens / wall,
        "tokens_per_cpu_second": tokens / cpu,
        "p50_seconds": took[len(took) // 2],
        "p95_seconds": took[int(len(took) * 0.95)],
    }
    return figures, [text for _, _, text in answers]


def offline(sampler: ds.Sampler, prompts: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The same prompts by the Sampler."""
    before, begun = time.process_time(), time.perf_counter()
    out = sampler.generate(prompts, NEW_TOKENS)
    wall, cpu = time.perf_counter() - begun, time.process_time() - before
    tokens = sum(row.tokens for row in out.stats)
    return {
        "tokens": tokens,
        "tokens_per_wall_second": tokens / wall,
        "tokens_per_cpu_second": tokens / cpu,
    }, out.texts


def spread(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Median, smallest and largest of each figure."""
    return {
        name: {"median": statistics.median(v), "min": min(v), "max": max(v)}
        for name in runs[0]
        for v in [[run[name] for run in runs]]
    }


def measure(count: int, clients: int, batch: int, repeats: int) -> dict[str, Any]:
    prompts = questions(count)
    torch.set_num_threads(1)
    sampler = ds.Sampler(ds.load("nano"), ds.Unmask(**OPTIONS), batch_size=batch)
    command = [sys.executable, "-m", "dlmsample", "serve", "--port", "0", "--threads", "1", "--batch-size", str(batch)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        found = re.search(r":(\d+)$", server.stderr.readline().strip())
        assert found, "the server did not start"
        port = int(found[1])
        served(port, server.pid, prompts[:clients], clients)  # both warm up
        offline(sampler, prompts[:clients])
        there, here = [], []
        for _ in range(repeats):
            figures, texts = served(port, server.pid, prompts, clients)
            there.append(figures)
            figures, expected = offline(sampler, prompts)
            here.append(figures)
            assert texts == expected, "the server's answers are not the Sampler's"
    finally:
        server.terminate()
        server.communicate(timeout=60)  # and its pipe is closed
    ratios = {
        name: statistics.median(a[name] / b[name] for a, b in zip(there, here, strict=True))
        for name in ("tokens_per_wall_second", "tokens_per_cpu_second")
    }
    return {
        "command": "python -m benchmarks.serve_load " + " ".join(sys.argv[1:]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, 1 thread, torch {torch.__version__}",
        "load_average": os.getloadavg()[0],
        "requests": count,
        "clients": clients,
        "batch_size": batch,
        "new_tokens": NEW_TOKENS,
        "policy": repr(sampler.policy),
        "repeats": repeats,
        "server": spread(there),
        "offline": spread(here),
        "server_to_offline": ratios,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=128)
    parser.add_argument("--clients", type=int, default=48)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    if not 1 <= given.requests <= 2000 or not 1 <= given.clients <= 256:
        parser.error("1 to 2000 requests by 1 to 256 clients")
    found = measure(given.requests, given.clients, given.batch_size, given.repeats)
    print(json.dumps(found, indent=1))
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            file.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
