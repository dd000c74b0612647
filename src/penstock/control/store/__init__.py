"""The store: what the control plane remembers. Keys, the ledger of calls, and the history of the configuration.

keys.py        a virtual key's record, and the principal that workers know of it: pure
periods.py     when a budget begins again, when a key expires: pure
calls.py       what the journals told of one call, and the ledger's rows that it becomes: pure
base.py        Store: what any database must do (tests/contract/store.py is the proof), and the values that it speaks
tables.py      the tables
sqlite.py      SQLite, which needs nothing installed beside it. (PostgreSQL will stand here, under the same suite)
spend_logs.py  the ledger's rows under LiteLLM's names
migrate.py     brings a database to the tables of this version, forward only; the steps are in migrations/

Money is an integer of picodollars everywhere (and a row bears the exact amount as decimal text, where that has more
digits). Times are integers of Unix microseconds, UTC: they are exact, sort alike in every database, and survive JSON,
which floats of seconds in tables do not all do; values that Python code passes around are Unix seconds (float), as on
the data plane.
"""
