"""A name server for the tutorial: names.py HOST:PORT FILE

It answers for TXT records from FILE, lines of NAME. IN TXT "TEXT", read anew for
every question, and knows no other name (RFC 1035 section 4).
"""

import re
import socket
import struct
import sys


def answer(question, path):
    end = question.index(0, 12) + 5  # the name, its type and class
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode())
        at += 1 + question[at]
    name = ".".join(labels).lower() + "."
    with open(path) as f:
        records = re.findall(r'^(\S+) IN TXT "([^"]+)"', f.read(), re.M)
    texts = [t.encode() for n, t in records if n == name]
    body = b""
    if struct.unpack(">H", question[end - 4 : end - 2])[0] == 16:
        for t in texts:
            body += struct.pack(">HHHIHB", 0xC00C, 16, 1, 60, len(t) + 1, len(t)) + t
    count = len(texts) if body else 0
    code = 0 if texts else 3  # NXDOMAIN
    return question[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, count, 0, 0) + question[12:end] + body


host, port = sys.argv[1].split(":")
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((host, int(port)))
while True:
    question, sender = server.recvfrom(1500)
    try:
        server.sendto(answer(question, sys.argv[2]), sender)
    except (ValueError, IndexError, struct.error):
        pass  # no question
