"""The edge of the server: connections, and all bytes before a request and after its answer."""
