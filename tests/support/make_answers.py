#!/usr/bin/python3
"""Makes tests/data/answers.tsv: what the gateway answers to each message of the corpus.

Written from the rules (HL7 2.9 chapter 2, tables 0008 and 0155) and sharing no code with the gateway, so that the
two check each other. For a listener with acknowledgment = "message", acknowledge = "stored",
application_acknowledgment = "gateway", and no limit on facilities.

    make_answers.py CORPUS MANIFEST > answers.tsv

CORPUS is the folder that holds messages/ and constructed/; MANIFEST lists the messages in its first column.
"""
import re
import sys
from pathlib import Path

LEAD = re.compile(rb"\A(?:\xef\xbb\xbf)?[\r\n ]*")
SEGMENT_END = re.compile(rb"[\r\n]+")
DELIMITER = re.compile(rb"[^\x00-\x20\x7fA-Za-z0-9]")
CONTROL_ID_MAXIMUM = 1024


class Refused(Exception):
    """args: the reason's code, and the control id that may be echoed."""


def good_encoding(field, encoding):
    # The escape character doubled ("^~\\\\&"): harmless, seen in the field.
    if len(encoding) >= 5 and encoding[2] == encoding[3]:
        encoding = encoding[:3] + encoding[4:]
    characters = [encoding[i:i + 1] for i in range(len(encoding))]
    return (1 <= len(characters) <= 5 and field not in characters and len(set(characters)) == len(characters)
            and all(DELIMITER.fullmatch(c) for c in characters))


def read_header(segment):
    """MSH-n by number; raises Refused."""
    field = segment[3:4]
    if len(segment) < 5 or not DELIMITER.fullmatch(field):
        raise Refused("msh-unreadable", b"")
    values = dict(enumerate(segment.split(field), 1))  # "MSH" in place of MSH-1
    control_id = values.get(10, b"")
    if not good_encoding(field, values[2]):
        shifted = not 1 <= len(values[2]) <= 5
        raise Refused("msh-unreadable", b"" if shifted else control_id)
    component = values[2][:1]
    code = values.get(9, b"").split(component)[0]
    if not code:
        raise Refused("message-type-missing", control_id)
    if len(control_id) > CONTROL_ID_MAXIMUM:
        raise Refused("control-id-too-long", b"")
    if re.search(rb"[\x00\x0b\x1c]", control_id):
        raise Refused("msh-unreadable", control_id)
    return {"field": field, "code": code, "control_id": control_id,
            "accept": condition(values.get(15, b"")), "application": condition(values.get(16, b""))}


def condition(text):
    text = text.strip(b" ")
    if text in (b"", b'""'):
        return ""
    return text.decode() if text in (b"AL", b"NE", b"ER", b"SU") else "AL"


def due(asked, positive):
    return asked == "AL" or asked == ("SU" if positive else "ER")


def acknowledgments(header, positive):
    """MSA-1 of each answer. What is refused here is refused for a reason that is AR, and CE."""
    accept, application = header["accept"], header["application"]
    if not accept and not application:
        return ["AA" if positive else "AR"]
    answers = []
    if due(accept, positive):
        answers.append("CA" if positive else "CE")
    if due(application, positive) and (positive or not answers):
        answers.append("AA" if positive else "AR")
    return answers


def split_headers(segments, envelope):
    """The MSH segments: the first, and those that have its separator or can be read by themselves."""
    headers = []
    for number, segment in enumerate(segments):
        if not segment.startswith(b"MSH"):
            continue
        if (number == 0 or (envelope and not headers)
                or segment[3:4] == headers[0][3:4] and len(segment) > 3):
            headers.append(segment)
            continue
        try:
            read_header(segment)
        except Refused:
            continue
        headers.append(segment)
    return headers


def envelope_control_id(segments):
    for name in (b"BHS", b"FHS"):
        for segment in segments:
            values = segment.split(segment[3:4]) if len(segment) > 3 else []
            if segment.startswith(name) and len(values) > 10 and values[10]:
                return values[10]
    return b""


def answer(content):
    """envelope, acks, MSA-2, deliveries, reason"""
    segments = [s for s in SEGMENT_END.split(LEAD.sub(b"", content, count=1)) if s]
    first = segments[0][:3] if segments else b""
    envelope = {b"FHS": "file", b"BHS": "batch"}.get(first, "none")
    nobody = {"accept": "", "application": ""}
    if first not in (b"FHS", b"BHS", b"MSH"):
        return envelope, acknowledgments(nobody, False), b"", 0, "msh-unreadable"

    headers = split_headers(segments, envelope != "none")
    try:
        read = [read_header(h) for h in headers]
    except Refused as refused:
        try:
            header = read_header(headers[0])
            control_id = header["control_id"]
        except Refused as of_first:
            header, control_id = nobody, of_first.args[1]
        return envelope, acknowledgments(header, False), control_id, 0, refused.args[0]
    if read and read[0]["code"] == b"ACK":
        return envelope, [], read[0]["control_id"], 0, "acknowledgment"
    header = read[0] if read else nobody
    control_id = (read[0]["control_id"] if read else b"") or envelope_control_id(segments)
    return envelope, acknowledgments(header, True), control_id, 1, "-"


def as_text(value):
    return "".join(chr(b) if 0x21 <= b <= 0x7E and b != 0x25 else f"%{b:02X}" for b in value)


def main():
    corpus, manifest = Path(sys.argv[1]), Path(sys.argv[2])
    files = [line.split("\t")[0] for line in manifest.read_text(encoding="utf-8").splitlines()[1:]]
    files += sorted(f"constructed/{path.name}" for path in (corpus / "constructed").glob("*.hl7"))
    print("file\tenvelope\tacks\tmsa2\tdeliveries\treason")
    for name in files:
        envelope, acks, control_id, deliveries, reason = answer((corpus / name).read_bytes())
        print(name, envelope, ",".join(acks) or "none", as_text(control_id), deliveries, reason, sep="\t")


main()
