#!/usr/bin/env python3
"""An independent reader of a millwright journal: docs/journal.md in Python, sharing no code with the program.

    journal_reader.py DIR             check everything, print a summary
    journal_reader.py DIR --records   print every good record as well, one line each
    journal_reader.py DIR --head FILE the position file, where it is not DIR/head

Exit code: 0 sound (an unfinished last frame is reported, not an error), 65 damaged, 66 nothing there, 78 a newer format.
Standard library only.
"""
import argparse
import hashlib
import json
import os
import re
import sys

FORMAT = 1
HEADER = re.compile(
    rb'\{"frame":([1-9][0-9]{0,17}),"format":([1-9][0-9]{0,17}),"epoch":(0|[1-9][0-9]{0,17}),'
    rb'"first":([1-9][0-9]{0,17}),"count":([1-9][0-9]{0,17}),"bytes":([1-9][0-9]{0,17}),'
    rb'"prev":"([0-9a-f]{64})","crc32c":"([0-9a-f]{8})"\}\n'
)
FORMAT_ONLY = re.compile(rb'\{"frame":[1-9][0-9]*,"format":([1-9][0-9]*),')
SEGMENT = re.compile(r"[0-9]{20}\.jsonl")
CRC_TAIL = len(b',"crc32c":"01234567"}\n')


def crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


class Damage(Exception):
    def __init__(self, name, offset, seq, what, may_be_torn=False):
        super().__init__(f"{name} at byte {offset}, record {seq}: {what}")
        self.may_be_torn = may_be_torn


class Newer(Exception):
    pass


class Reader:
    """Where the chain stands, and what was counted."""

    def __init__(self):
        self.next_seq = 1
        self.next_frame = 1
        self.epoch = 0
        self.hash = "0" * 64
        self.bytes = 0
        self.ends = {}  # last seq of a frame -> its hash

    def torn(self, rest, header, last_segment):
        """May this be a write that did not finish? Nothing that is a later frame may follow."""
        if not last_segment or b"\n{\"frame\":" in rest[1:]:
            return False
        if header and len(rest) > header.end() + int(header.group(6)):
            return False
        return not any(int(m.group(1)) > self.next_frame for m in HEADER.finditer(rest, 1))

    def segment(self, name, data, last_segment):
        if int(name[:20]) != self.next_seq:
            raise Damage(name, 0, self.next_seq, "a segment is missing or repeated")
        if not data and not last_segment:
            raise Damage(name, 0, self.next_seq, "an empty segment before the last one")
        at = 0
        while at < len(data):
            rest = data[at:]
            newer = FORMAT_ONLY.match(rest)
            if newer and int(newer.group(1)) > FORMAT:
                raise Newer(f"{name} at byte {at}: format {int(newer.group(1))}")
            header = HEADER.match(rest)
            if not header:
                raise Damage(name, at, self.next_seq, "not a frame's header",
                             self.torn(rest, None, last_segment))
            frame, _, epoch, first, count, size = (int(header.group(i)) for i in range(1, 7))
            end = header.end() + size
            body = rest[header.end() : end]
            fits = (first, frame) == (self.next_seq, self.next_frame) and epoch >= self.epoch
            fits = fits and header.group(7).decode() == self.hash
            covered = rest[: header.end() - CRC_TAIL] + body
            if len(body) < size or crc32c(covered) != int(header.group(8), 16):
                raise Damage(name, at, self.next_seq, "the frame is cut or its checksum does not fit",
                             fits and self.torn(rest, header, last_segment))
            if not fits:
                raise Damage(name, at, self.next_seq, "the frame does not follow the one before it")
            lines = body.split(b"\n")
            if lines.pop() != b"" or len(lines) != count:
                raise Damage(name, at, self.next_seq, "the number of lines is not the number of records")
            for index, line in enumerate(lines):
                try:
                    record = json.loads(line)
                except ValueError as error:
                    raise Damage(name, at, first + index, f"not JSON: {error}") from error
                if not isinstance(record, dict):
                    raise Damage(name, at, first + index, "not a JSON object")
                yield first + index, line
            self.next_seq = first + count
            self.next_frame = frame + 1
            self.epoch = epoch
            self.hash = hashlib.sha256(rest[:end]).hexdigest()
            self.ends[self.next_seq - 1] = self.hash
            self.bytes += end
            at += end


def read_head(path):
    """The newer of the two good lines, or None."""
    try:
        with open(path, "rb") as file:
            data = file.read(1024)
    except FileNotFoundError:
        return None
    found = []
    for line in (data[:512], data[512:]):
        match = re.fullmatch(rb'(\{"head":1,.*),"crc32c":"([0-9a-f]{8})"\} *\n', line)
        if match and len(line) == 512 and crc32c(match.group(1)) == int(match.group(2), 16):
            found.append(json.loads(line))
    return max(found, key=lambda head: (head["seq"], head["clean"])) if found else None


def check_head(reader, head):
    if head is None:
        print("head: none that can be read; a cut at a frame's border cannot be seen")
        return True
    seq = head["seq"]
    if seq and reader.ends.get(seq) != head["hash"]:
        print(f"DAMAGED: record {seq} was committed, and is not there as the end of that frame")
        return False
    print(f"head: record {seq}, {'closed in order' if head['clean'] else 'not closed in order'}")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dir")
    parser.add_argument("--records", action="store_true")
    parser.add_argument("--head")
    options = parser.parse_args()
    if not os.path.isdir(options.dir):
        print(f"{options.dir}: not a folder", file=sys.stderr)
        return 66
    head = read_head(options.head or os.path.join(options.dir, "head"))
    names = sorted(name for name in os.listdir(options.dir) if name.endswith(".jsonl"))
    reader = Reader()
    sound = True
    try:
        for name in names:
            if not SEGMENT.fullmatch(name):
                raise Damage(name, 0, reader.next_seq, "not the name of a segment")
        for index, name in enumerate(names):
            with open(os.path.join(options.dir, name), "rb") as file:
                data = file.read()
            for _, line in reader.segment(name, data, index + 1 == len(names)):
                if options.records:
                    sys.stdout.write(line.decode() + "\n")
    except Damage as damage:
        sound = damage.may_be_torn
        print(("unfinished last frame, never acknowledged: " if sound else "DAMAGED: ") + str(damage))
    except Newer as newer:
        print(f"newer than this reader: {newer}")
        return 78
    print(f"{len(names)} segments, {reader.next_frame - 1} frames, {reader.next_seq - 1} records, "
          f"{reader.bytes} bytes, epoch {reader.epoch}")
    print(f"good up to record {reader.next_seq - 1}, sha256 {reader.hash}")
    sound = check_head(reader, head) and sound
    return 0 if sound else 65


if __name__ == "__main__":
    sys.exit(main())
