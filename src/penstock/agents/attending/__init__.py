"""What an attendant is made of, beside the steps through the states (../attendant.py). Each attends to one thing of one
session.

session_log.py  its row and its log, read and written
preparing.py    what it consists of: agent, environment, harness
costs.py        what it has cost: the ledger and the vault, taken over into the log
questions.py    what its agent may do only if somebody allows it
vault_news.py   what the vault says of it
turn_watch.py   whether the turn that is under way is still wanted
overtaken.py    doing something for as long as its row asks for it
failures.py     how a failure is told in its log
"""
