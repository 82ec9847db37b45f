#!/usr/bin/env python3
"""A slow link on loopback: forwards TCP with a delay in each direction and an optional rate, and counts what passes.

link.py --listen PORT --target PORT --stats FILE [--delay MS] [--rate BYTES_PER_SECOND]

FILE holds JSON: `connections`, and `up` and `down` in bytes; all connections share the rate of a direction. A new
connection costs one round trip, as on a real link. The link runs until it is killed.
"""
import argparse
import asyncio
import json
import os
import time

CHUNK = 16 << 10


class Link:
    def __init__(self, options):
        self.target = options.target
        self.delay = options.delay / 1000
        self.rate = options.rate
        self.stats_file = options.stats
        self.stats = {"connections": 0, "up": 0, "down": 0}
        # When each direction of the link can take the next byte.
        self.free_at = {"up": 0.0, "down": 0.0}

    def save(self):
        """Replaces the file of counters, so that a reader never sees half of it."""
        with open(self.stats_file + ".new", "w") as file:
            json.dump(self.stats, file)
        os.replace(self.stats_file + ".new", self.stats_file)

    async def pump(self, reader, writer, way):
        """Forwards one direction of a connection."""
        # With a rate, a full queue stops the sender. Without one, only the receiver limits it.
        queue = asyncio.Queue(maxsize=16 if self.rate else 0)
        delivery = asyncio.create_task(deliver(queue, writer))
        try:
            while data := await reader.read(CHUNK):
                self.stats[way] += len(data)
                self.save()
                start = max(time.monotonic(), self.free_at[way])
                if self.rate:
                    self.free_at[way] = start + len(data) / self.rate
                    start = self.free_at[way]
                await queue.put((start + self.delay, data))
        except ConnectionError:
            pass
        await queue.put((time.monotonic() + self.delay, None))
        try:
            await delivery
        except (ConnectionError, RuntimeError):
            pass

    async def serve(self, reader, writer):
        self.stats["connections"] += 1
        self.save()
        await asyncio.sleep(2 * self.delay)
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self.pump(reader, to_server, "up"), self.pump(from_server, writer, "down"))
        to_server.close()
        writer.close()


async def deliver(queue, writer):
    """Writes each chunk when it is due; `None` ends the direction."""
    while True:
        due, data = await queue.get()
        await asyncio.sleep(max(0, due - time.monotonic()))
        if data is None:
            if writer.can_write_eof():
                writer.write_eof()
            return
        writer.write(data)
        await writer.drain()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--target", type=int, required=True)
    parser.add_argument("--stats", required=True)
    parser.add_argument("--delay", type=float, default=40)
    parser.add_argument("--rate", type=float, default=0)
    options = parser.parse_args()
    link = Link(options)
    server = await asyncio.start_server(link.serve, "127.0.0.1", options.listen)
    link.save()
    async with server:
        await server.serve_forever()


asyncio.run(main())
