"""Terminals of sessions: a program in a sandbox that people look at and type into, from wherever they are.

filter.py    what of its output may reach anybody's terminal, and what its questions are answered
cursor.py    where its cursor is
window.py    the last of its output, for any number of viewers
terminal.py  the program with its window, size and viewers
"""
