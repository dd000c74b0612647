"""nginx as a plain reverse proxy: one worker, upstream connections kept alive, no log, streams not buffered."""

from __future__ import annotations

import shutil

from bench.gateway import machine, processes
from bench.gateway.peers.peer import Running, Site
from bench.gateway.peers.plain import PlainProxy

CONFIG = """\
daemon off;
worker_processes {workers};
worker_rlimit_nofile 65536;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 32768; multi_accept on; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy; fastcgi_temp_path {folder}/nginx-f; uwsgi_temp_path {folder}/nginx-u;
    scgi_temp_path {folder}/nginx-s;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 600s;
    upstream answers {{ server 127.0.0.1:{answers}; keepalive 1024; keepalive_requests 1000000000; }}
    upstream streams {{ server 127.0.0.1:{streams}; keepalive 1024; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{answers_port} backlog=4096;
        location / {{ proxy_pass http://answers; }}
    }}
    server {{
        listen 127.0.0.1:{streams_port} backlog=16384;
        location / {{ proxy_pass http://streams; proxy_buffering off; }}
    }}
}}
"""


class Nginx:
    name = "nginx"
    what = "a plain reverse proxy: one worker, kept-alive connections on both sides, no log"

    def missing(self) -> str | None:
        return None if shutil.which("nginx") else "not installed: apt-get install nginx-light"

    def start(self, site: Site) -> Running:
        ports = machine.free_port(), machine.free_port()
        config = site.folder / "nginx.conf"
        config.write_text(
            CONFIG.format(
                folder=site.folder,
                workers=site.workers,
                answers=site.answers,
                streams=site.streams,
                answers_port=ports[0],
                streams_port=ports[1],
            )
        )
        command = ["nginx", "-p", str(site.folder), "-e", "stderr", "-c", str(config)]
        program = processes.start(self.name, command, site.on, site.folder)
        for port in ports:
            program.wait_for_port(port)
        return PlainProxy(program, *ports)
