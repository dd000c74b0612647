"""A connection through a proxy's CONNECT, on standard input and output: `python connect.py PROXY_PORT HOST PORT`.

For OpenSSH's ProxyCommand; it needs nothing but Python.
"""

import os
import select
import socket
import sys


def main(proxy: int, host: str, port: int) -> None:
    """Connect, and copy both ways until one end closes."""
    with socket.create_connection(("127.0.0.1", proxy)) as sock:
        sock.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        if not head.startswith(b"HTTP/1.1 200 "):
            sys.exit(head.decode())
        ends = {0: lambda data: sock.sendall(data), sock.fileno(): lambda data: _write_all(data)}
        while True:
            for end in select.select(list(ends), [], [])[0]:
                data = os.read(end, 65536)
                if not data:
                    return
                ends[end](data)


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
