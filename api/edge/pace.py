"""The pace of a client: how far its bytes are behind the slowest rate."""


class Pace:
    """The seconds that a client may still fall behind the slowest rate.

    A silent client uses up `seconds` of them, a slower one its share. A faster one gets them
    back. So a burst does not pay for hours of single bytes, as it would for a mean rate.
    """

    __slots__ = ("_bytes_seen", "_rate", "_seconds", "_seconds_left")

    def __init__(self, seconds: int, rate: int, bytes_seen: int) -> None:
        """Begin with all seconds; `rate` is in bytes a second."""
        self._seconds = self._seconds_left = float(seconds)
        self._rate = rate
        self._bytes_seen = bytes_seen

    def is_late(self, byte_count: int) -> bool:
        """Say whether a client is too late, one second after the last call.

        `byte_count` is the number of bytes that the client has sent or read until now. A smaller
        one than before counts as no progress.
        """
        gain = max(0, byte_count - self._bytes_seen) / self._rate
        self._bytes_seen = byte_count
        self._seconds_left = min(self._seconds, self._seconds_left - 1 + gain)
        return self._seconds_left <= 0
