#!/usr/bin/env python3
"""Log in to a weir server over frames, send messages, print the answers.

    WEIR_PASSWORD=... python3 client.py frames://127.0.0.1:7000 --user alice --signed "hello" "again"

Python's standard library only. docs/protocols-auth.md has what is sent, byte by byte. Over TLS
(frames+tls://) the login is not bound to the connection: Python's ssl has no exporter. For the same
reason tokens have no signed frames here.
"""

import argparse
import base64
import getpass
import hashlib
import hmac
import os
import secrets
import socket
import ssl
import stringprep
import struct
import sys
import unicodedata
from urllib.parse import urlsplit


class LoginError(Exception):
    """The server says no, or cannot prove to know the account."""


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def prepare(text):
    """SASLprep, RFC 4013."""
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    text = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    bad = (stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
           stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8, stringprep.in_table_c9)
    right = any(map(stringprep.in_table_d1, text))
    if not text or any(f(c) for c in text for f in bad):
        raise LoginError("the name or the password has characters that are not allowed")
    if right and (any(map(stringprep.in_table_d2, text)) or not all(map(stringprep.in_table_d1, (text[0], text[-1])))):
        raise LoginError("the name or the password mixes directions of writing")
    return text


class Frames:
    """Frames over a socket; signed ones once sign has been called."""

    def __init__(self, sock, max_frame=1 << 20):
        self.sock, self.max_frame = sock, max_frame
        self.send_key = self.receive_key = None
        self.sent = self.received = 0

    def sign(self, secret):
        def expand(label):  # HKDF-Expand of one block
            return mac(secret, label + b"\x01")
        self.send_key = expand(b"weir signed frames v1 client to server")
        self.receive_key = expand(b"weir signed frames v1 server to client")

    @staticmethod
    def tag(key, number, payload):
        return mac(key, struct.pack(">Q", number) + payload)[:16]

    def send(self, payload):
        if self.send_key:
            payload += self.tag(self.send_key, self.sent, payload)
            self.sent += 1
        self.sock.sendall(struct.pack(">I", len(payload)) + payload)

    def receive(self):
        (n,) = struct.unpack(">I", self.exactly(4))
        if n > self.max_frame:
            raise ConnectionError("the server's frame is too large")
        frame = self.exactly(n)
        if not self.receive_key:
            return frame
        payload, tag = frame[:-16], frame[-16:]
        if n < 16 or not hmac.compare_digest(tag, self.tag(self.receive_key, self.received, payload)):
            raise ConnectionError("a frame is not what the server has sent")
        self.received += 1
        return payload

    def exactly(self, n):
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise ConnectionError("the server has closed the connection")
            data += piece
        return data


def ask(frames, verb, data, expect):
    """Send one message of a login and return what is in the answer."""
    frames.send(verb + b" " + base64.b64encode(data))
    word, _, rest = frames.receive().partition(b" ")
    if word == b"ERR":
        raise LoginError(rest.decode("utf-8", "replace"))
    if word != expect:
        raise LoginError("the server does not keep to the protocol")
    return base64.b64decode(rest, validate=True)


def login_password(frames, name, password, signed=False, min_iterations=100_000):
    """SCRAM-SHA-256 (RFC 5802, RFC 7677). Returns the session's secret."""
    name, password = prepare(name), prepare(password)
    if "," in name or "=" in name:
        raise LoginError("a name has no commas and equals signs")
    nonce = secrets.token_urlsafe(18)
    bare = f"n={name},r={nonce}" + (",f=signed" if signed else "")
    first = ask(frames, b"AUTH SCRAM-SHA-256", b"n,," + bare.encode(), b"+").decode()
    fields = dict(f.split("=", 1) for f in first.split(","))
    salt, iterations = base64.b64decode(fields["s"], validate=True), int(fields["i"])
    if not fields["r"].startswith(nonce) or len(fields["r"]) == len(nonce):
        raise LoginError("the server's nonce does not begin with ours")
    if not min_iterations <= iterations <= 10_000_000:
        raise LoginError(f"the server asks for {iterations} iterations")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = mac(salted, b"Client Key")
    stored_key = hashlib.sha256(client_key).digest()
    without = "c=biws,r=" + fields["r"]
    message = ",".join((bare, first, without)).encode()
    proof = bytes(a ^ b for a, b in zip(client_key, mac(stored_key, message)))
    final = without + ",p=" + base64.b64encode(proof).decode()
    answer = ask(frames, b"+", final.encode(), b"OK")
    want = b"v=" + base64.b64encode(mac(mac(salted, b"Server Key"), message))
    if not hmac.compare_digest(answer, want):
        raise LoginError("the server does not prove to know this account")
    secret = mac(stored_key, b"weir session key v1" + client_key + message)
    if signed:
        frames.sign(secret)
    return secret


def login_token(frames, token):
    ask(frames, b"AUTH TOKEN", token.encode(), b"OK")


def connect(address, timeout=30, cafile=None):
    url = urlsplit(address)
    if url.scheme not in ("frames", "frames+tls") or not url.hostname or not url.port:
        raise SystemExit("the address must be frames://HOST:PORT or frames+tls://HOST:PORT")
    sock = socket.create_connection((url.hostname, url.port), timeout)
    if url.scheme == "frames+tls":
        sock = ssl.create_default_context(cafile=cafile).wrap_socket(sock, server_hostname=url.hostname)
    return Frames(sock)


def main():
    p = argparse.ArgumentParser(description="Log in to a weir server over frames, send messages, print the answers.")
    p.add_argument("address", help="frames://HOST:PORT or frames+tls://HOST:PORT")
    p.add_argument("messages", nargs="*")
    p.add_argument("--user", help="the account; the password comes from WEIR_PASSWORD or is asked for. Without it, a token from WEIR_TOKEN")
    p.add_argument("--signed", action="store_true", help="sign frames, and check those of the server")
    p.add_argument("--min-iterations", type=int, default=100_000)
    p.add_argument("--cafile", help="certificates to trust, in PEM")
    args = p.parse_intermixed_args()
    if not args.user and (args.signed or not args.address.startswith("frames+tls:")):
        p.error("a token is sent over TLS only, and has no signed frames here")
    try:
        frames = connect(args.address, cafile=args.cafile)
        if args.user:
            password = os.environ.get("WEIR_PASSWORD") or getpass.getpass()
            login_password(frames, args.user, password, args.signed, args.min_iterations)
        else:
            login_token(frames, os.environ.get("WEIR_TOKEN") or getpass.getpass("Token: "))
        for message in args.messages:
            frames.send(message.encode())
            print(frames.receive().decode("utf-8", "backslashreplace"))
    except (LoginError, OSError, ValueError, KeyError) as e:
        raise SystemExit(f"client: {e}")


if __name__ == "__main__":
    sys.exit(main())
