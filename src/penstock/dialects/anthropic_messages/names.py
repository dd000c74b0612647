"""The dialect's name, in a file of its own because all files of the folder need it."""

NAME = "anthropic_messages"
"""Value of `Request.dialect`, `Response.dialect` and `Context.source`."""
