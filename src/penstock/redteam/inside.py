"""The program that runs inside the sandbox and does what it is told. It has the standard library and nothing else, for
it is carried in as text and run by whatever `python3` is there (3.8 or newer).

It reads one JSON document from standard input, {"proxy": [host, port], "hosts": {name: [host, port]}, "workers": n,
"jobs": [...]}, and writes one JSON line a job, as they end. It trusts any certificate and obeys no rule: an attacker
would not, either. `hosts` says where names lie instead of asking (empty in a sandbox).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict  # noqa: UP035

Job = Dict[str, Any]  # noqa: UP006  # Python 3.8 has no dict[...] outside of annotations
MOST = 1 << 20
PRELUDE = """
import ctypes, errno, glob, os, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = {"x86_64": 0, "aarch64": 1}

def name_of(number):
    return errno.errorcode.get(number, str(number))

def system_call(*numbers_and_arguments):
    which = NUMBERS.get(os.uname().machine)
    if which is None:
        print("cannot run: no numbers of system calls for " + os.uname().machine)
        sys.exit()
    number = numbers_and_arguments[which]
    if number is None:
        print("cannot run: this machine has no such system call")
        sys.exit()
    ctypes.set_errno(0)
    got = libc.syscall(number, *numbers_and_arguments[2:])
    print("done" if got >= 0 else name_of(ctypes.get_errno()))

def attempt(what):
    try:
        print("done", what())
    except OSError as error:
        print(name_of(error.errno))
"""


def main() -> None:
    """Do all jobs of the plan."""
    plan = json.load(sys.stdin)
    lock = threading.Lock()

    def work(job: Job) -> None:
        started = time.monotonic()
        try:
            back = {"wire": wire, "code": code, "shell": shell}[job["kind"]](job, plan)
        except Exception as error:
            back = {"error": type(error).__name__ + ": " + str(error)[:300]}
        back["id"] = job["id"]
        back["seconds"] = round(time.monotonic() - started, 3)
        with lock:
            sys.stdout.write(json.dumps(back) + "\n")
            sys.stdout.flush()

    with ThreadPoolExecutor(plan["workers"]) as pool:
        for job in plan["jobs"]:
            pool.submit(work, job)


def wire(job: Job, plan: Job) -> Job:
    """Speak on a connection, as often as is wanted."""
    back: Job = {}
    for _ in range(job.get("repeat", 1)):
        back = once(job, plan)
    return back


def once(job: Job, plan: Job) -> Job:
    """Speak once."""
    back: Job = {}
    try:
        at = (
            plan["proxy"] if job["way"] != "transparent" else plan["hosts"].get(job["host"], [job["host"], job["port"]])
        )
        raw = socket.create_connection(tuple(at), 5)
    except OSError as error:
        return {"error": "connect: " + describe(error)}
    with raw:
        raw.settimeout(job["patience"])
        try:
            converse(job, raw, back)
        except OSError as error:
            back["error"] = describe(error)
    return back


def describe(error: OSError) -> str:
    """The name of an error, and why."""
    reason = getattr(error, "reason", None)
    return type(error).__name__ + (": " + str(reason or error) if str(error) else "")


def converse(job: Job, raw: socket.socket, back: Job) -> None:
    """Ask for a tunnel, begin TLS, speak; whatever of it is wanted."""
    if job["way"] == "connect":
        raw.sendall(base64.b64decode(job["connect"]))
        head = b""
        while b"\r\n\r\n" not in head and len(head) < 65536:
            more = raw.recv(4096)
            if not more:
                back["ended"] = True
                break
            head += more
        back["connect"] = encode(head)
        if not head.startswith(b"HTTP/1.1 200"):
            return
    stream: socket.socket = raw
    if job["tls"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(job["alpn"])
        stream = context.wrap_socket(raw, server_hostname=job["sni"] or None)
        back["tls"] = (stream.version() or "") + " " + (stream.selected_alpn_protocol() or "")
    try:
        speak(job, stream, back)
    finally:
        if stream is not raw:
            stream.close()


def speak(job: Job, stream: socket.socket, back: Job) -> None:
    """Write the pieces, and read until enough responses are here, or nothing more comes."""
    received = bytearray()
    broken = ""
    for number, piece in enumerate(job["send"]):
        if number and job["gap"]:
            time.sleep(job["gap"])
        try:
            stream.sendall(base64.b64decode(piece))
        except OSError as error:
            broken = describe(error)  # an answer may still be there to read
            break
    try:
        while len(received) >= MOST or not complete(bytes(received), job["answers"]):
            more = stream.recv(65536)
            if not more:
                back["ended"] = True
                break
            if len(received) < MOST:  # what comes behind is read, and not kept
                received += more
    except TimeoutError:
        pass
    except OSError as error:
        broken = broken or describe(error)
    back["data"] = encode(bytes(received))
    if broken:
        back["error"] = broken


def complete(data: bytes, answers: int) -> bool:
    """Whether so many responses are here, or the frames of HTTP/2 that end so many streams."""
    if answers <= 0:
        return False
    if data[:5] != b"HTTP/"[: len(data[:5])] or not data:
        return ended_streams(data) >= answers
    while data and answers:
        head, blank, rest = data.partition(b"\r\n\r\n")
        if not blank:
            return False
        lowered = head.lower()
        status = head[9:12]
        if status[:1] == b"1" and status != b"101":
            data = rest
            continue
        if status in (b"101", b"204", b"304"):
            answers -= status != b"101"
            if status == b"101":
                return False
            data = rest
        elif b"\r\ntransfer-encoding: chunked" in lowered:
            end = rest.find(b"\r\n0\r\n")
            end = 0 if rest.startswith(b"0\r\n") else end + 2 if end >= 0 else -1
            stop = rest.find(b"\r\n\r\n", end) if end >= 0 else -1
            if stop < 0:
                return False
            data, answers = rest[stop + 4 :], answers - 1
        elif b"\r\ncontent-length:" in lowered:
            size = int(lowered.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0])
            if len(rest) < size:
                return False
            data, answers = rest[size:], answers - 1
        else:
            return False
    return answers <= 0


def ended_streams(data: bytes) -> int:
    """Count the streams of HTTP/2 that ended."""
    count = 0
    while len(data) >= 9:
        size = int.from_bytes(data[:3], "big")
        kind, flags = data[3], data[4]
        if len(data) < 9 + size:
            break
        if kind == 3 or kind == 7 or (kind in (0, 1) and flags & 1):
            count += 1
        data = data[9 + size :]
    return count


def code(job: Job, plan: Job) -> Job:
    """Run a Python program."""
    argv = [sys.executable, "-I", "-c", PRELUDE + job["source"]]
    return ran(argv, job)


def shell(job: Job, plan: Job) -> Job:
    """Run a line of the shell."""
    for name in job["needs"]:
        if shutil.which(name) is None:
            return {"cannot": "no " + name + " here"}
    return ran(["/bin/sh", "-c", job["line"]], job)


def ran(argv: list[str], job: Job) -> Job:
    """Run a program to its end, or to the end of its time."""
    try:
        done = subprocess.run(  # noqa: S603  # it is told what to run
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=job["seconds"],
            cwd="/",
            env=dict(os.environ, PROBE=job["id"]),
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as expired:
        return {"data": encode(expired.stdout or b""), "error": "it did not end"}
    back: Job = {"data": encode(done.stdout[:MOST]), "error": done.stderr[-2000:].decode("utf-8", "replace")}
    if done.stdout.startswith(b"cannot run: "):
        back["cannot"] = done.stdout.decode("utf-8", "replace")[12:].strip()
    back["code"] = done.returncode
    return back


def encode(data: bytes) -> str:
    """Bytes as JSON can have them."""
    return base64.b64encode(data).decode()


if __name__ == "__main__":
    main()
