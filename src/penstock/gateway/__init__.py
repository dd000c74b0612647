"""The gateway's data plane: one HTTP endpoint in front of all providers.

config.py       what it serves and under which key, read from the environment
surfaces.py     the table of inbound paths: which dialect each speaks, and where clients put their key
answers.py      what goes back: answers and refusals as values, headers made safe, keys taken out
handle.py       one chat request: parse, call, render
model_lists.py  GET /v1/models in the shape that each client reads
listener.py     the limits of what somebody without a key may send
app.py          the ASGI application around it; `penstock serve` runs it under uvicorn
"""
