"""Teams of agents: what a supervisor may do with its workers, and the ways by which it does.

rules.py      what a worker may be, at most (pure); the service asks it, so nothing depends on the tools
ties.py       what becomes of a supervisor's log when a worker begins or ends (pure); the store applies it
planning.py   plans (../plans.py) in the store, by whom
way.py        how a program in a supervisor's sandbox reaches the API (pure)
command.py    `penstock-team`, the command inside: one file of the standard library
"""
