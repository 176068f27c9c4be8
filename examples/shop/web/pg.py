"""The little of postgres's protocol that a shop needs: one statement with parameters, rows as lists of strings.

Spec: PostgreSQL 15, chapter 55, "Frontend/Backend Protocol" (extended query; trust authentication only).
"""
import socket
import struct


def query(address, user, database, sql, *params):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as s, s.makefile("rb") as replies:
        hello = b"".join(x.encode() + b"\0" for x in ("user", user, "database", database)) + b"\0"
        s.sendall(struct.pack("!ii", len(hello) + 8, 196608) + hello)
        finish(replies)
        values = b"".join(struct.pack("!i", len(v)) + v for v in (str(p).encode() for p in params))
        s.sendall(
            message(b"P", b"\0" + sql.encode() + b"\0" + struct.pack("!h", 0))
            + message(b"B", b"\0\0" + struct.pack("!hh", 0, len(params)) + values + struct.pack("!h", 0))
            + message(b"E", b"\0" + struct.pack("!i", 0)) + message(b"S", b""))
        rows = finish(replies)
        s.sendall(message(b"X", b""))
        return rows


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


def finish(f):
    """Reads up to ReadyForQuery; returns the rows, raises what the server complains of."""
    rows, error = [], None
    while True:
        head = f.read(5)
        if len(head) < 5:
            raise error or ConnectionError("postgres closed the connection")
        kind, body = head[:1], f.read(struct.unpack("!i", head[1:])[0] - 4)
        if kind == b"Z":
            if error:
                raise error
            return rows
        if kind == b"E":
            error = RuntimeError("postgres: " + dict((x[:1], x[1:].decode()) for x in body.split(b"\0") if x)[b"M"])
        elif kind == b"R" and struct.unpack("!i", body[:4])[0] != 0:
            raise RuntimeError("postgres wants a password; this client has none (POSTGRES_HOST_AUTH_METHOD=trust)")
        elif kind == b"D":
            row, at = [], 2
            for _ in range(struct.unpack("!h", body[:2])[0]):
                size = struct.unpack("!i", body[at:at + 4])[0]
                row.append(None if size < 0 else body[at + 4:at + 4 + size].decode())
                at += 4 + max(size, 0)
            rows.append(row)
