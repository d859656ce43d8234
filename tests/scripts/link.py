"""Hosts for tests: network namespaces, connected by a link that this process serves.

Every host has a TAP device `e0`, and a thread forwards the Ethernet frames between them. It can
delay and lose frames, limit their rate, and cut pairs of hosts off from each other. This needs the
right to create namespaces and /dev/net/tun, but no `tc` and no kernel module. A TAP device passes
on frames of at most its MTU with complete checksums, so no offloading has to be turned off.
"""

import contextlib
import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time

TUN = "/dev/net/tun"
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
MAX_FRAME = 65536
# What a port of a switch holds back at most; TCP would otherwise fill a queue of any length.
LONGEST_QUEUE_S = 0.2


FULL_FRAME = 14 + 1500
TCP_CHECKSUM = 14 + 20 + 16  # after the headers of Ethernet and IPv4


def with_another_bit(frame):
    """In the last bytes of a TCP segment; its checksum is updated as in RFC 1624."""
    at = len(frame) - 8
    old, checksum = (struct.unpack_from(">H", frame, place)[0] for place in (at, TCP_CHECKSUM))
    new = old ^ 1
    total = (checksum ^ 0xFFFF) + (old ^ 0xFFFF) + new
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    changed = bytearray(frame)
    struct.pack_into(">H", changed, at, new)
    struct.pack_into(">H", changed, TCP_CHECKSUM, total ^ 0xFFFF)
    return bytes(changed)


class Unavailable(Exception):
    """This user or this kernel cannot have hosts."""


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)


def require_ip(*arguments):
    done = ip(*arguments)
    if done.returncode != 0:
        raise Unavailable(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


class Host:
    """A network namespace with the interface `e0`."""

    def __init__(self, number):
        self.name = f"sluice{os.getpid()}-{number}"
        self.address = f"10.231.7.{number + 1}"
        self.mac = bytes([2, 0, 0, 0, 7, number + 1])
        # Starts a program there, under the name of the host.
        self.command = [
            *("ip", "netns", "exec", self.name, "unshare", "--uts"),
            *("sh", "-c", 'hostname "$0" && exec "$@"', f"host{number}"),
        ]
        require_ip("netns", "add", self.name)
        self.descriptor = None
        try:
            self._add_interface(f"slu{os.getpid()}n{number}"[:15])
        except (OSError, Unavailable) as error:
            self.remove()
            raise Unavailable(str(error)) from error

    def _add_interface(self, device):
        self.descriptor = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        request = struct.pack("16sH22x", device.encode(), IFF_TAP | IFF_NO_PI)
        fcntl.ioctl(self.descriptor, TUNSETIFF, request)
        require_ip("link", "set", device, "netns", self.name)
        self.ip("link", "set", device, "name", "e0", "address", self.mac.hex(":"))
        self.ip("link", "set", "lo", "up")
        self.up()

    def ip(self, *arguments):
        require_ip("-n", self.name, *arguments)

    def up(self):
        self.ip("addr", "replace", f"{self.address}/24", "dev", "e0")
        self.ip("link", "set", "e0", "up")

    def down(self):
        self.ip("link", "set", "e0", "down")

    def remove(self):
        if self.descriptor is not None:
            os.close(self.descriptor)
        ip("netns", "del", self.name)


class Link:
    """Connects `num` hosts. All settings may be changed at any time.

    delay_s: of every frame. loss: the part of the frames that is lost, chosen by a fixed seed.
    bytes_per_s: of what a host sends; None: no limit. changed: (sender, receiver) whose full frames
    arrive with another bit, and with the checksum of that.
    """

    def __init__(self, num):
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise Unavailable("this user cannot create network namespaces")
        self.hosts = []
        try:
            for number in range(num):
                self.hosts.append(Host(number))
        except Unavailable:
            self._remove_hosts()
            raise
        self.reset()
        self._waiting = []  # (time, number, receiver, frame)
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()

    def reset(self):
        self.delay_s, self.loss, self.bytes_per_s = 0.0, 0.0, None
        self.changed = None
        self.num_lost, self.num_sent, self.num_bytes, self._number = 0, 0, 0, 0
        self._random = random.Random(1)
        self._cut = set()
        self._free_s = [0.0] * len(self.hosts)  # when a host may send the next frame

    def cut(self, one, other):
        """Loses all frames between two hosts, without telling them."""
        self._cut = self._cut | {(one, other), (other, one)}

    def isolate(self, one):
        for other in range(len(self.hosts)):
            self.cut(one, other)

    def mend(self):
        self._cut = set()

    def close(self):
        os.close(self._stopped)
        self._thread.join()
        os.close(self._stop)
        self._remove_hosts()

    def _remove_hosts(self):
        for host in self.hosts:
            host.remove()

    def _forward(self):
        descriptors = [host.descriptor for host in self.hosts]
        while True:
            left_s = None
            if self._waiting:
                left_s = max(0.0, self._waiting[0][0] - time.monotonic())
            ready = select.select([self._stop, *descriptors], [], [], left_s)[0]
            if self._stop in ready:
                return
            for sender, descriptor in enumerate(descriptors):
                if descriptor in ready:
                    self._read(sender)
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                receiver, frame = heapq.heappop(self._waiting)[2:]
                with contextlib.suppress(OSError):  # an interface that is down
                    os.write(descriptors[receiver], frame)

    def _read(self, sender):
        try:
            frame = os.read(self.hosts[sender].descriptor, MAX_FRAME)
        except OSError:
            return
        for receiver, host in enumerate(self.hosts):
            is_meant = frame[0] & 1 or frame[:6] == host.mac  # broadcast, or for this host
            if receiver != sender and is_meant and (sender, receiver) not in self._cut:
                if self.changed == (sender, receiver) and len(frame) == FULL_FRAME:
                    frame = with_another_bit(frame)
                self._send(sender, receiver, frame)

    def _send(self, sender, receiver, frame):
        self.num_sent += 1
        self.num_bytes += len(frame)
        now_s = time.monotonic()
        is_full = self._free_s[sender] - now_s > LONGEST_QUEUE_S
        if is_full or self._random.random() < self.loss:
            self.num_lost += 1
            return
        begin_s = max(now_s, self._free_s[sender])
        if self.bytes_per_s is not None:
            begin_s += len(frame) / self.bytes_per_s
        self._free_s[sender] = begin_s
        self._number += 1  # keeps the order of frames with the same time
        heapq.heappush(self._waiting, (begin_s + self.delay_s, self._number, receiver, frame))
