"""Where agents run: one contract for every driver, and the drivers.

- driver.py     the contract: what a sandbox is asked for, what it answers, what it says on bad days
- archive.py    which members of a tar archive may come in or go out
- trust.py      the variables that make programs use the vault's proxy and trust its certificates
- pool.py       sandboxes that wait for an identity
- local/        sandboxes on this machine, by bubblewrap
"""
