"""The store of the agent platform: agents, environments, sessions and their logs, approvals, tokens.

base.py             AgentStore: what any database must do (tests/contract/agents_store is the proof), and the values it
                    speaks in
tables.py           the tables: of each row its value as JSON, and the columns by which somebody looks for it
writer.py           one thread that writes for everybody, many writes a commit
checkpoints.py      keeps SQLite's log of writes short, beside the writer
sqlite.py           SQLite, which needs nothing installed beside it. (PostgreSQL will stand here, under the same suite)
appends.py          how events get into the log, exactly once
rows.py             how values become rows, and pages of them
definition_rows.py  agents and environments, version by version
approval_rows.py    questions and answers, each with its event
token_rows.py       tokens and tickets
answer_rows.py      what was answered to idempotency keys
migrate.py          brings a database to the tables of this version, forward only; the steps are in migrations/
"""
