#!/usr/bin/env python3
"""An independent reader of a millwright journal: docs/journal.md in Python, sharing no code with the program.

    journal_reader.py DIR             check everything, print a summary; DIR: a journal's folder, or an archive (it has a manifest.jsonl)
    journal_reader.py DIR --records   print every good record as well, one line each
    journal_reader.py DIR --head FILE the position file, where it is not DIR/head
    journal_reader.py DIR --snapshot FILE  is this snapshot of this journal, and are its records the journal's?
    journal_reader.py DIR --export FILE    the same of what `millwright journal export` wrote

Exit code: 0 sound (an unfinished last frame is reported, not an error), 65 damaged, 66 nothing there, 78 a newer format.
Standard library only.
"""
import argparse
import hashlib
import json
import os
import re
import sys
import zlib

FORMAT = 1
HEADER = re.compile(
    rb'\{"frame":([1-9][0-9]{0,17}),"format":([1-9][0-9]{0,17}),"epoch":(0|[1-9][0-9]{0,17}),'
    rb'"first":([1-9][0-9]{0,17}),"count":([1-9][0-9]{0,17}),"bytes":([1-9][0-9]{0,17}),'
    rb'"prev":"([0-9a-f]{64})","crc32c":"([0-9a-f]{8})"\}\n'
)
FORMAT_ONLY = re.compile(rb'\{"frame":(?:0|[1-9][0-9]{0,17}),"format":([1-9][0-9]{0,17})(?![0-9])')
FRAME_RECORDS_MAX = 1 << 20
FRAME_BYTES_MAX = 64 << 20
SNAPSHOT = re.compile(
    rb'(\{"snapshot":1,"journal":"([0-9a-f]{1,16})","made_by":"[0-9A-Za-z.+~-]{1,64}","seq":([0-9]{1,18}),'
    rb'"frame":([0-9]{1,18}),"epoch":([0-9]{1,18}),"segment":([0-9]{1,18}),"offset":([0-9]{1,18}),'
    rb'"hash":"([0-9a-f]{64})","records":([0-9]{1,18}),"bytes":([0-9]{1,18}),"body":"([0-9a-f]{64})",'
    rb'"state":"[0-9a-f]{64}","left":"[0-9a-f]{64}"),"crc32c":"([0-9a-f]{8})"\} *\n'
)
NUMBER = rb"(?:0|[1-9][0-9]{0,17})"
HEAD = re.compile(
    rb'(\{"head":1,"seq":%b,"frame":%b,"segment":%b,"bytes":%b,"clean":(?:true|false),"hash":"[0-9a-f]{64}"),'
    rb'"crc32c":"([0-9a-f]{8})"\} *\n' % (NUMBER, NUMBER, NUMBER, NUMBER)
)
SNAPSHOT_HEADER_BYTES = 1024
MANIFEST = "manifest.jsonl"
MANIFEST_HEADER = re.compile(
    rb'(\{"archive":1,"journal":"([0-9a-f]{1,16})","segments":(0|[1-9][0-9]{0,17}),"sha256":"([0-9a-f]{64})"),'
    rb'"crc32c":"([0-9a-f]{8})"\}'
)
MANIFEST_NEWER = re.compile(rb'\{"archive":([0-9]{1,20}),')
MANIFEST_SEGMENT = re.compile(
    rb'\{"segment":([1-9][0-9]{0,17}),"last":([1-9][0-9]{0,17}),"frame":([1-9][0-9]{0,17}),"frames":([1-9][0-9]{0,17}),'
    rb'"epoch":(0|[1-9][0-9]{0,17}),"bytes":([1-9][0-9]{0,17}),"sha256":"([0-9a-f]{64})","prev":"([0-9a-f]{64})",'
    rb'"hash":"([0-9a-f]{64})","gzip":(true|false),"stored":(0|[1-9][0-9]{0,17}),"stored_sha256":"([0-9a-f]{64})"\}'
)
SEGMENT_BYTES_MAX = (64 << 20) + 320
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


def is_in_limits(header):
    return int(header.group(5)) <= FRAME_RECORDS_MAX and int(header.group(6)) <= FRAME_BYTES_MAX


class Damage(Exception):
    def __init__(self, name, offset, seq, what, may_be_torn=False):
        super().__init__(f"{name} at byte {offset}, record {seq}: {what}")
        self.may_be_torn = may_be_torn


class BadManifest(Exception):
    def __init__(self, what, line):
        super().__init__(f"{MANIFEST} at line {line}: {what}")


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
        self.frames = {}  # last seq of a frame -> what an export says of it
        self.lines = {}  # seq -> record; only when asked for
        self.keeps_lines = False

    def torn(self, rest, header, last_segment):
        """May this be a write that did not finish? Nothing that is a later frame may follow."""
        if not last_segment or b"\n{\"frame\":" in rest[1:]:
            return False
        if header and len(rest) > header.end() + int(header.group(6)):
            return False
        return not any(int(m.group(1)) > self.next_frame and is_in_limits(m) for m in HEADER.finditer(rest, 1))

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
            if not header or not is_in_limits(header):
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
                if line.startswith(b'{"frame":'):
                    raise Damage(name, at, first + index, "a record looks like a frame's header")
                try:
                    record = json.loads(line)
                except ValueError as error:
                    raise Damage(name, at, first + index, f"not JSON: {error}") from error
                if not isinstance(record, dict):
                    raise Damage(name, at, first + index, "not a JSON object")
                if self.keeps_lines:
                    self.lines[first + index] = line
                yield first + index, line
            self.next_seq = first + count
            self.next_frame = frame + 1
            self.epoch = epoch
            self.hash = hashlib.sha256(rest[:end]).hexdigest()
            self.frames[self.next_seq - 1] = {
                "frame": frame, "epoch": epoch, "first": first, "count": count, "segment": int(name[:20]),
                "offset": at, "bytes": end, "prev": header.group(7).decode(), "hash": self.hash}
            self.bytes += end
            at += end


def read_journal(reader, folder, on_line):
    """(segments, sound but for an unfinished last frame?)."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(".jsonl"))
    try:
        for name in names:
            if not SEGMENT.fullmatch(name):
                raise Damage(name, 0, reader.next_seq, "not the name of a segment")
        for index, name in enumerate(names):
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            for _, line in reader.segment(name, data, index + 1 == len(names)):
                on_line(line)
    except Damage as damage:
        print(("unfinished last frame, never acknowledged: " if damage.may_be_torn else "DAMAGED: ") + str(damage))
        return len(names), damage.may_be_torn
    return len(names), True


def manifest_rows(text):
    """The segments that an archive says it holds, or BadManifest."""
    lines = text.split(b"\n")
    if MANIFEST_NEWER.match(text) and int(MANIFEST_NEWER.match(text).group(1)) > 1:
        raise Newer(MANIFEST)
    header = MANIFEST_HEADER.fullmatch(lines[0])
    if len(lines) < 2 or not header or crc32c(header.group(1)) != int(header.group(5), 16):
        raise BadManifest("not a header", 1)
    if lines.pop() != b"":
        raise BadManifest("the last line is cut", len(lines) + 1)
    rows, after, frame, epoch, prev = [], 0, 1, 0, "0" * 64
    for number, line in enumerate(lines[1:], 2):
        match = MANIFEST_SEGMENT.fullmatch(line)
        if not match:
            raise BadManifest("not a segment's line", number)
        row = dict(zip(("segment", "last", "frame", "frames", "epoch", "bytes"), map(int, match.groups()[:6])))
        row.update(zip(("sha256", "prev", "hash", "gzip"), (word.decode() for word in match.groups()[6:10])))
        row.update(gzip=row["gzip"] == "true", stored=int(match.group(11)), stored_sha256=match.group(12).decode())
        fits = (row["segment"], row["frame"], row["prev"]) == (after + 1, frame, prev) and row["epoch"] >= epoch
        fits = fits and 0 < row["frames"] <= row["last"] - after and 0 < row["bytes"] <= SEGMENT_BYTES_MAX
        if not fits or not row["gzip"] and (row["stored"], row["stored_sha256"]) != (row["bytes"], row["sha256"]):
            raise BadManifest("it does not follow the line before it, or cannot be", number)
        rows.append(row)
        after, frame, epoch, prev = row["last"], frame + row["frames"], row["epoch"], row["hash"]
    if len(rows) != int(header.group(3)):
        raise BadManifest("lines are missing or too many", len(rows) + 2)
    if hashlib.sha256(b"".join(line + b"\n" for line in lines[1:])).hexdigest() != header.group(4).decode():
        raise BadManifest("the lines are not the ones that were written", len(rows) + 2)
    return rows


def unpack(packed, most):
    """(what can be unpacked of one gzip member, None or what is wrong with it)."""
    whole = zlib.decompressobj(31)
    out, fault = b"", None
    try:
        out = whole.decompress(packed, most + 1)
    except zlib.error:
        whole, pieces, size = zlib.decompressobj(31), [], 0
        try:
            for at in range(len(packed)):
                pieces.append(whole.decompress(packed[at : at + 1]))
                size += len(pieces[-1])
                if size > most:
                    break
        except zlib.error as error:
            fault = f"not what gzip writes ({error})"
        out = b"".join(pieces)
    if len(out) > most:
        return out[:most], "it unpacks to more bytes than the manifest says"
    if not fault and whole.unused_data:
        fault = "it goes on after the end of what gzip wrote"
    if not fault and not whole.eof:
        fault = "the packed file is cut"
    return out, fault


def archived(reader, folder, row):
    """The records of one segment of an archive; Damage when it is not what the manifest says."""
    name = f"{row['segment']:020d}.jsonl" + (".gz" if row["gzip"] else "")
    reader.next_seq, reader.next_frame, reader.hash = row["segment"], row["frame"], row["prev"]
    try:
        with open(os.path.join(folder, name), "rb") as file:
            stored = file.read()
    except FileNotFoundError as error:
        raise Damage(name, 0, reader.next_seq, "it is not there") from error
    data, fault = unpack(stored, row["bytes"]) if row["gzip"] else (stored, None)
    before = reader.bytes
    try:
        yield from reader.segment(name, data, not data)
    except Damage as damage:
        damage.args = (f"{damage.args[0]}; {fault}" if fault else damage.args[0],)
        raise
    found = {"bytes": len(data), "last": reader.next_seq - 1, "frames": reader.next_frame - row["frame"], "epoch": reader.epoch,
             "hash": reader.hash, "sha256": hashlib.sha256(data).hexdigest()}
    wrong = [key for key, value in found.items() if row[key] != value]
    if fault or wrong:
        raise Damage(name, reader.bytes - before, reader.next_seq, fault or f"not the manifest's: {', '.join(wrong)}")
    if (len(stored), hashlib.sha256(stored).hexdigest()) != (row["stored"], row["stored_sha256"]):
        raise Damage(name, 0, row["segment"], "the packed bytes are not the ones that were written")


def read_archive(reader, folder, on_line):
    """(segments, all sound?): every segment that the manifest names is looked at, whatever is wrong with the one before it."""
    with open(os.path.join(folder, MANIFEST), "rb") as file:
        try:
            rows = manifest_rows(file.read())
        except BadManifest as fault:
            print(f"DAMAGED: {fault}")
            return 0, False
    sound = True
    for row in rows:
        try:
            for _, line in archived(reader, folder, row):
                on_line(line)
        except Damage as damage:
            sound = False
            print(f"DAMAGED: {damage}")
        reader.next_seq, reader.next_frame = row["last"] + 1, row["frame"] + row["frames"]
        reader.epoch, reader.hash = row["epoch"], row["hash"]
    return len(rows), sound


def read_head(path):
    """The newer of the two good lines, or None."""
    try:
        with open(path, "rb") as file:
            data = file.read(1024)
    except FileNotFoundError:
        return None
    found = []
    for line in (data[:512], data[512:]):
        match = HEAD.fullmatch(line)
        if match and len(line) == 512 and crc32c(match.group(1)) == int(match.group(2), 16):
            found.append(json.loads(line))
    return max(found, key=lambda head: (head["seq"], head["clean"])) if found else None


def check_head(reader, head):
    if head is None:
        print("head: none that can be read; a cut at a frame's border cannot be seen")
        return True
    seq = head["seq"]
    if seq and reader.frames.get(seq, {}).get("hash") != head["hash"]:
        print(f"DAMAGED: record {seq} was committed, and is not there as the end of that frame")
        return False
    print(f"head: record {seq}, {'closed in order' if head['clean'] else 'not closed in order'}")
    return True


def journal_id(reader):
    return json.loads(reader.lines.get(1, b'{"payload":{"journalId":""}}'))["payload"]["journalId"]


def same_place(reader, seq, told):
    """Does a frame of the journal end at seq, and is it what `told` says of it?"""
    found = reader.frames.get(seq)
    return found is not None and all(found[key] == value for key, value in told.items())


def snapshot_fault(reader, data):
    """None, or what is wrong with a snapshot."""
    header = SNAPSHOT.fullmatch(data[:SNAPSHOT_HEADER_BYTES])
    body = data[SNAPSHOT_HEADER_BYTES:]
    if not header or crc32c(header.group(1)) != int(header.group(12), 16):
        return "not a snapshot's header"
    seq, frame, epoch, segment, offset = (int(header.group(i)) for i in range(3, 8))
    records, size = int(header.group(9)), int(header.group(10))
    if len(body) != size or hashlib.sha256(body).hexdigest() != header.group(11).decode():
        return "its records are not the ones that were written"
    place = {"frame": frame, "epoch": epoch, "segment": segment, "offset": offset,
             "hash": header.group(8).decode()}
    if header.group(2).decode() != journal_id(reader) or not same_place(reader, seq, place):
        return f"the journal has another frame, or none, where record {seq} ends"
    lines = body.split(b"\n")
    if lines.pop() != b"" or len(lines) != records:
        return "the number of lines is not the number of records"
    before = 0
    for line in lines:
        left = line.startswith(b'{"left":')
        line = line[len(b'{"left":') : -1] if left else line
        this = json.loads(line)["seq"]
        if not before < this <= seq or reader.lines.get(this) != line:
            return f"record {this} is not the journal's, or not in its place"
        before = this
    print(f"snapshot: {records} records stand for the first {seq}, and are the journal's")
    return None


def export_fault(reader, data):
    """None, or what is wrong with an extract."""
    lines = data.split(b"\n")
    if lines.pop() != b"" or not lines:
        return "it is cut"
    header = json.loads(lines[0])
    if header.get("export") != 1 or header["journal"] != journal_id(reader):
        return "not an extract of this journal"
    position = dict(header["position"])
    if not same_place(reader, position.pop("seq"), position):
        return "the journal has another frame, or none, at the position that it names"
    sha, frame, seqs = hashlib.sha256(), None, []
    for line in lines[1:]:
        record = json.loads(line)
        if line.startswith(b'{"frame":'):
            frame = record
            if not same_place(reader, frame["first"] + frame["count"] - 1, frame):
                return f"frame {frame['frame']} is not the journal's"
            continue
        seq = record["seq"]
        if frame is None or not frame["first"] <= seq < frame["first"] + frame["count"]:
            return f"record {seq} is not in the frame before it"
        if reader.lines.get(seq) != line or (seqs and seq <= seqs[-1]):
            return f"record {seq} is not the journal's, or not in its place"
        if header.get("trace", record["traceId"]) != record["traceId"]:
            return f"record {seq} is of another trace"
        sha.update(line + b"\n")
        seqs.append(seq)
    if (len(seqs), sha.hexdigest()) != (header["records"], header["sha256"]):
        return "its records are not the ones that were written"
    if (seqs[0], seqs[-1]) != (header["first"], header["last"]):
        return "it does not begin or end where it says"
    there = set(seqs)
    missing = [seq for seq, line in reader.lines.items() if seq <= header["position"]["seq"] and seq not in there
               and json.loads(line)["traceId"] == header.get("trace", json.loads(line)["traceId"])]
    if missing:
        return f"record {missing[0]} is of this trace and not in it"
    print(f"export: {len(seqs)} records, {seqs[0]} to {seqs[-1]}, are the journal's")
    return None


def check_file(reader, path, fault_of):
    with open(path, "rb") as file:
        data = file.read()
    try:
        fault = fault_of(reader, data)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        fault = f"not what it should be: {error!r}"
    if fault:
        print(f"{path}: {fault}")
    return fault is None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dir")
    parser.add_argument("--records", action="store_true")
    parser.add_argument("--head")
    parser.add_argument("--snapshot")
    parser.add_argument("--export")
    options = parser.parse_args()
    if not os.path.isdir(options.dir):
        print(f"{options.dir}: not a folder", file=sys.stderr)
        return 66
    is_archive = os.path.exists(os.path.join(options.dir, MANIFEST))
    head = read_head(options.head or os.path.join(options.dir, "head"))
    reader = Reader()
    reader.keeps_lines = bool(options.snapshot or options.export)

    def on_line(line):
        if options.records:
            sys.stdout.write(line.decode() + "\n")

    try:
        segments, sound = (read_archive if is_archive else read_journal)(reader, options.dir, on_line)
    except Newer as newer:
        print(f"newer than this reader: {newer}")
        return 78
    print(f"{segments} segments, {reader.next_frame - 1} frames, {reader.next_seq - 1} records, "
          f"{reader.bytes} bytes, epoch {reader.epoch}")
    if sound or not is_archive:
        print(f"good up to record {reader.next_seq - 1}, sha256 {reader.hash}")
    if options.head or not is_archive:
        sound = check_head(reader, head) and sound
    if options.snapshot:
        sound = check_file(reader, options.snapshot, snapshot_fault) and sound
    if options.export:
        sound = check_file(reader, options.export, export_fault) and sound
    return 0 if sound else 65


if __name__ == "__main__":
    sys.exit(main())
