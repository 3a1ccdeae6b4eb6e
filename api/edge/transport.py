"""The transport of a connection: the head of an answer leaves with its body.

uvicorn writes the head at once. ASGI asks servers to wait for the first part of the body. One write
saves a packet, and 5 % of the CPU of recording a row.
"""

import asyncio
import contextlib
import fcntl
import struct
import termios
from typing import Final

_HEAD: Final = b"HTTP/1.1 "
_INTERIM_HEAD: Final = b"HTTP/1.1 1"  # 100 Continue has no body, and the client waits for it


class HeadWithBody(asyncio.Transport):
    """A transport that holds the head of an answer until the next write.

    It has the methods that uvicorn calls.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        """Wrap a transport."""
        super().__init__()
        self._transport = transport
        self._head = b""

    @property
    def inner(self) -> asyncio.Transport:
        """The wrapped transport."""
        return self._transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write data after the head that was held; hold the data if they are a head."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif data[:9] == _HEAD and data[:10] != _INTERIM_HEAD:
            self._head = bytes(data)
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Write a head without a body."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Close the connection after all data are written."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def abort(self) -> None:
        """Close the connection at once, and drop the data that are not written."""
        self._head = b""
        self._transport.abort()

    def unsent_bytes(self) -> int:
        """Return the bytes that the client has not taken; 0 if all are with the kernel.

        The kernel's own are counted where it says so: it holds megabytes, and it takes new ones
        only when a third of them has left. So a slow reader would look like one that has stopped.
        """
        size = self._transport.get_write_buffer_size()
        if size:
            with contextlib.suppress(OSError):
                connection = self._transport.get_extra_info("socket")
                answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
                size += struct.unpack("i", answer)[0]
        return size
