"""The gateway's data plane: one HTTP endpoint in front of all providers.

config.py      what it serves and under which key, read from the environment
surfaces.py    the table of inbound paths, and which dialect each speaks
handle.py      one request: authenticate, parse, call, render (pure but for the call)
app.py         the ASGI application around it; __main__ of `penstock serve` runs it under uvicorn
"""
