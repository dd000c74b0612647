"""HTTP/1.1 towards clients: bytes in, requests out; answers in, bytes out. It knows nothing of models or keys.

One protocol object a connection, on httptools, with callbacks and no tasks: what a framework does for comfort costs
more than all the rest of a relayed request.
"""
