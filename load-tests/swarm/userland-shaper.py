"""
Limits links where the kernel has no discipline for it. Each link is a pair of TAP devices (Documentation/networking/tuntap
of the kernel), one in a node's network namespace and one in that of the caller; frames go from one to the other through
a token bucket for each direction, as TBF lets them: whatever waits beyond the limit is dropped.

    python3 userland-shaper.py LINKS      LINKS is JSON, see `Link` in userland-shaper.ts; says "ready", runs until killed
    python3 userland-shaper.py --probe    ends well if such devices can be made here
"""

import ctypes
import fcntl
import json
import os
import select
import struct
import sys
import time
from collections import deque

TUN = "/dev/net/tun"
TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
CLONE_NEWNET = 0x40000000
MOST_FRAME_BYTES = 65536
# What is read of one device before the others have their turn.
FRAMES_A_TURN = 64


class Bucket:
    """One direction of a link. Times are seconds of any steady clock; no I/O."""

    def __init__(self, rate, burst, limit):
        self.rate = rate
        self.burst = burst
        self.limit = limit
        self.tokens = burst
        self.filled_at = None
        self.frames = deque()
        self.bytes = 0

    def put(self, frame):
        """Takes a frame, or drops it when too much waits."""
        if self.bytes + len(frame) > self.limit:
            return
        self.frames.append(frame)
        self.bytes += len(frame)

    def take(self, now):
        """The next frame if it may go now."""
        if not self.frames:
            return None
        if self.filled_at is not None:
            self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < len(self.frames[0]):
            return None
        frame = self.frames.popleft()
        self.tokens -= len(frame)
        self.bytes -= len(frame)
        return frame

    def seconds_to_next(self):
        """After a `take` that gave nothing: how long the next frame has to wait; None when there is none."""
        return (len(self.frames[0]) - self.tokens) / self.rate if self.frames else None


class Direction:
    """Frames from one device to another."""

    def __init__(self, source, sink, bucket):
        self.source = source
        self.sink = sink
        self.bucket = bucket

    def read(self):
        for _ in range(FRAMES_A_TURN):
            try:
                self.bucket.put(os.read(self.source, MOST_FRAME_BYTES))
            except BlockingIOError:
                return

    def write(self):
        """Passes on what may go; returns how long the next frame has to wait."""
        while (frame := self.bucket.take(time.monotonic())) is not None:
            try:
                os.write(self.sink, frame)
            except OSError:
                # A device that is down or full loses what it is given, as a card does.
                pass
        return self.bucket.seconds_to_next()


def open_tap(name):
    device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return device


def enter(namespace):
    # os.setns came with Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def open_link(link, home):
    port = open_tap(link["port"])
    inside = os.open(link["namespace"], os.O_RDONLY)
    enter(inside)
    try:
        card = open_tap(link["card"])
    finally:
        enter(home)
        os.close(inside)
    buckets = [Bucket(link["bytesPerSecond"], link["burstBytes"], link["limitBytes"]) for _ in range(2)]
    return [Direction(card, port, buckets[0]), Direction(port, card, buckets[1])]


def main(links):
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    directions = [direction for link in links for direction in open_link(link, home)]
    by_source = {direction.source: direction for direction in directions}
    poll = select.epoll()
    for source in by_source:
        poll.register(source, select.EPOLLIN)
    print("ready", flush=True)
    waiting = {}
    while True:
        for source, _ in poll.poll(min(waiting.values()) if waiting else None):
            by_source[source].read()
            waiting[source] = 0
        for source in list(waiting):
            seconds = by_source[source].write()
            if seconds is None:
                del waiting[source]
            else:
                waiting[source] = seconds


if __name__ == "__main__":
    if sys.argv[1] == "--probe":
        os.close(open_tap("probe-tap"))
    else:
        main(json.loads(sys.argv[1]))
