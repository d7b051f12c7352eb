"""The node that the tests of cluster `local` run: `python -S parrot.py CONFIG`, nothing but the
standard library, up in a blink; and the system and codec that go with it.

It speaks frames of the reference's form with JSON bodies, greets whoever connects, keeps a
connection to each peer, and does what a client says: echo, tell a peer something, say what it
heard, write a file, exit.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from struct import Struct
from typing import Any

HEAD = Struct(">IBB")
HELLO, REQUEST, REPLY, NOTE, VOTE = 64, 1, 2, 3, 4
KINDS = {"Hello": HELLO, "Request": REQUEST, "Reply": REPLY, "Note": NOTE, "Vote": VOTE}
REDIAL_S = 0.05


def frame(kind: int, body: Any) -> bytes:
    data = json.dumps(body).encode()
    return HEAD.pack(len(data) + 2, 1, kind) + data


class Codec:
    """Messages are (kind, body)."""

    def __init__(self) -> None:
        self._rest = b""

    def encode(self, msg: tuple[int, Any]) -> bytes:
        return frame(*msg)

    def feed(self, data: bytes) -> list[tuple[int, Any]]:
        data = self._rest + data
        found = []
        at = 0
        while len(data) - at >= HEAD.size:
            length, version, kind = HEAD.unpack_from(data, at)
            if version != 1:
                raise ValueError(f"version {version}")
            if len(data) - at < 4 + length:
                break
            found.append((kind, json.loads(data[at + HEAD.size : at + 4 + length])))
            at += 4 + length
        self._rest = data[at:]
        return found


class Parrot:
    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.name = config["name"]
        self.prefix = "::ffff:" if config["mode"] == "ipv6" else ""
        self.heard: dict[str, list[Any]] = {}
        self.ways: dict[str, asyncio.StreamWriter] = {}
        self.lost: dict[str, int] = {}

    async def run(self) -> None:
        server = await asyncio.start_server(self.serve, *self.config["listen"])
        dials = [
            asyncio.ensure_future(self.dial(peer, address))
            for peer, address in self.config["peers"].items()
            if peer != self.name
        ]
        print("up", self.name, flush=True)
        async with server:
            await asyncio.gather(server.serve_forever(), *dials)

    async def dial(self, peer: str, address: Sequence[Any]) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection(self.prefix + address[0], address[1])
                codec = Codec()
                while not (hello := codec.feed(await some(reader))):
                    continue
                assert hello[0] == (HELLO, peer), hello
                writer.write(frame(HELLO, self.name))
                self.ways[peer] = writer
                while True:
                    await some(reader)
            except OSError:
                self.ways.pop(peer, None)
                self.lost[peer] = self.lost.get(peer, 0) + 1
                await asyncio.sleep(REDIAL_S)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(HELLO, self.name))
        codec = Codec()
        source = "client"
        try:
            while True:
                for kind, body in codec.feed(await some(reader)):
                    if kind == HELLO:
                        source = body
                    elif source == "client":
                        writer.write(frame(REPLY, self.obey(*body)))
                    else:
                        self.heard.setdefault(source, []).append([kind, body])
        except OSError:
            writer.close()

    def obey(self, word: str, *args: Any) -> Any:
        if word == "tell":
            peer, kind, bodies = args
            if peer not in self.ways:
                return False
            self.ways[peer].write(b"".join(frame(kind, body) for body in bodies))
            return True
        if word == "heard":
            return self.heard.get(args[0], [])
        if word == "ways":
            return sorted(self.ways)
        if word == "lost":
            return self.lost.get(args[0], 0)
        if word == "write":
            text, durable = args
            Path("store").mkdir(exist_ok=True)
            with open("store/log", "a", encoding="utf-8") as log:
                log.write(text)
            synced = {"schema": 1, "dirs": ["store"], "files": {"store/log": durable}}
            Path("synced").write_text(json.dumps(synced), encoding="utf-8")
        if word == "exit":
            print("my last words", flush=True)
            os._exit(args[0])
        return args


async def some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(1 << 16)
    if not data:
        raise ConnectionResetError("the end")
    return data


def main() -> None:
    config = json.loads(sys.argv[1])
    mode = config["mode"]
    if mode == "dies":
        print("no such thing as a config", flush=True)
        sys.exit(7)
    if mode == "deaf":
        print("thinking", flush=True)
        while True:
            sys.stdin.read()
            __import__("time").sleep(1)
    if mode == "forks" and os.fork() == 0:
        os.setsid()
        while True:
            __import__("time").sleep(1)
    asyncio.run(Parrot(config).run())


if __name__ == "__main__":
    main()
