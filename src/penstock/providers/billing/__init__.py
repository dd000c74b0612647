"""Billing: how counts and a price list become the lines of a bill. Pure; `penstock.providers.cost` is the way in.

rules.py         what providers say about their bills in words, as data
rates.py         which price holds for a kind of token in one request
bill.py          the values: Terms, Item, and the Bill that is being written
token_lines.py   what tokens cost
unit_lines.py    what images, seconds, characters, searches, pages cost
tool_lines.py    what provider-run tools cost
"""
