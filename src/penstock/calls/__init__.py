"""What one call is made of, for whoever makes it: the SDK's clients and the gateway both stand on this.

Options of a call, the attempt that turns a request into HTTP and the answer back, and the worlds that do what an
exchange asks for. Nothing here has a user interface: that is `client` and `gateway`, which do not know each other.
"""
