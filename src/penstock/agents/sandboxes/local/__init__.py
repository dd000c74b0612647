"""Sandboxes on this machine: bubblewrap, namespaces, a filter of system calls, Landlock, groups with limits.

How it fits together is told in docs/explanation/sandbox.md. In the server's process: driver.py (`LocalDriver`),
sandbox.py, process.py, pipes.py, transfer.py, state.py (what is on disk), copies.py (of workspaces), ending.py (of
processes), cgroups.py, watching in usage.py, checks.py (what the host offers), bubblewrap.py and system.py (what a
sandbox sees; pure), forking.py and replies.py (having helpers do things). In helper processes: fork_server.py, jobs.py,
helper.py, launch.py, enter.py, files.py, network.py, filter.py, landlock.py, kernel.py (system calls).
"""

from penstock.agents.sandboxes.local.driver import LocalDriver

__all__ = ["LocalDriver"]
