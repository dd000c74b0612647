"""What stops a channel's input: reasons that come and go, each on its own."""

from asyncssh.channel import SSHChannel


class Valve:
    """Stops a channel's input while there is a reason to, and lets it flow when the last one is gone."""

    def __init__(self) -> None:
        self._reasons: set[str] = set()
        self._channel: SSHChannel[bytes] | None = None

    def govern(self, channel: SSHChannel[bytes]) -> None:
        """Say which channel this is about."""
        self._channel = channel
        if self._reasons:
            channel.pause_reading()

    def hold(self, reason: str) -> None:
        """Stop."""
        self._reasons.add(reason)
        if self._channel is not None:
            self._channel.pause_reading()

    def release(self, reason: str) -> None:
        """Drop one reason."""
        if reason in self._reasons:
            self._reasons.discard(reason)
            if not self._reasons and self._channel is not None:
                self._channel.resume_reading()

    @property
    def held(self) -> bool:
        """Whether it is stopped."""
        return bool(self._reasons)
