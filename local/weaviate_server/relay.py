"""A TCP relay before the gRPC server, so that a connection can be cut in mid-answer."""

from __future__ import annotations

import contextlib
import socket
import threading

_CHUNK = 1 << 16


class Relay:
    """Passes bytes between a loopback port of its own and the server's.

    Args:
        port: to listen at; 0 for any.
    """

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._left: dict[int, int] = {}
        self._sockets: set[socket.socket] = set()

    def start(self, server_port: int) -> None:
        """Begin to pass connections on to the server."""
        threading.Thread(target=self._accept, args=[server_port], daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection."""
        _close(self._listener)
        with self._lock:
            for each in self._sockets:
                _close(each)

    def cut(self, peer_port: int, after_bytes: int) -> None:
        """Close a connection when so many more bytes have come from the server.

        Args:
            peer_port: the port from which the relay connected to the server.
        """
        with self._lock:
            self._left[peer_port] = after_bytes

    def _accept(self, server_port: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", server_port))
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._sockets |= {client, server}
                peer_port = server.getsockname()[1]
                for route in ((client, server, None), (server, client, peer_port)):
                    threading.Thread(target=self._pass, args=route, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, peer_port: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                left = None if peer_port is None else self._taken(peer_port, len(data))
                target.sendall(data if left is None else data[:left])
                if left is not None and left <= len(data):
                    break
        with self._lock:
            self._sockets -= {source, target}
        _close(source)
        _close(target)

    def _taken(self, peer_port: int, count: int) -> int | None:
        """How many bytes are still to be passed before the cut; None if there is none."""
        with self._lock:
            left = self._left.get(peer_port)
            if left is not None:
                self._left[peer_port] = left - count
                if left <= count:
                    del self._left[peer_port]
        return left


def _close(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
