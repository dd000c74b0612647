"""`penstock redteam`: attacks on the vault and the sandbox, from inside a real sandbox, each with its evidence.

The rule of the package: a probe is a value. It says to which row of the threat model it belongs (threats.py), what it
tries (bytes on a connection, a program, a look from outside) and what must come of it, as a pure function of what the
inside got back and what the upstreams saw. All the I/O lies in four files:

    upstreams.py   the hosts: those that a canary secret is bound to, one that anybody may reach, and the attacker's
    inside.py      the program that runs inside and does what it is told; it has the standard library and no more
    stage.py       puts them up: a vault with canary secrets, two sandboxes, the upstreams
    suite.py       runs all probes there, and looks afterwards whether the canary lies anywhere

A probe passes for what was seen, never for what was not: the attack must have arrived where it is decided. Nothing in
here reaches another machine: the vault is told where each host lies, and that is on loopback.
"""
