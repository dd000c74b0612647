"""Agent programs behind one contract (contract.py): how each is started for a turn, and how what it prints is read.

registry    all of them, by name
lines       what their readings share
"""
