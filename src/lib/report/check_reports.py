#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the report driver over the vectors dmarc-reports, tlsrpt and arf and over hostile reports made on the spot.

Every good file must give all its rows (counted by Python's own XML parser or by regular expression)
and, where the suite has the expected parse beside it, the same values. Every bad one must be refused
with exit status 1 within 256 MiB. Report mails are taken apart by Python's email package: what is
tested here are the attachments."""
import base64
import datetime
import email
import email.policy
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile

DRIVER, ALL = sys.argv[1], sys.argv[2]
VECTORS = os.path.join(ALL, "dmarc-reports")
failures = []


def run(data, kind="dmarc"):
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        p = subprocess.run([DRIVER, kind, f.name], capture_output=True, timeout=60)
    return p.returncode, p.stdout


def parsed(out):
    *rows, report = [json.loads(line) for line in out.splitlines()]
    return dict(report, rows=rows)


def attachments(raw):
    for part in email.message_from_bytes(raw, policy=email.policy.compat32).walk():
        if part.is_multipart():
            continue
        data = part.get_payload(decode=True) or b""
        name = (part.get_filename() or "") + " " + part.get_content_type()
        if re.search(r"zip|xml|octet-stream|tlsrpt", name) or data[:2] in (b"PK", b"\x1f\x8b"):
            yield data


def unpacked(data):
    if data[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=io.BytesIO(data)).read()
    if data[:2] == b"PK":
        z = zipfile.ZipFile(io.BytesIO(data))
        return z.read(z.namelist()[0])
    return data


def compare(name, got, want):
    """want: mail-auth's parse."""
    meta, pol = want["report_metadata"], want["policy_published"]
    word = lambda s: "" if s in (None, "Unspecified") else s.lower()
    text = lambda s: " ".join((s or "").split())
    pairs = [(got["org_name"], meta["org_name"]), (got["email"], meta["email"]),
             (got["report_id"], meta["report_id"]), (got["begin"], meta["date_range"]["begin"]),
             (got["end"], meta["date_range"]["end"]), (got["domain"], pol["domain"].lower()),
             (got["extra_contact"], meta.get("extra_contact_info") or ""),
             (got["p"], word(pol["p"])), (len(got["rows"]), len(want["record"]))]
    for a, b in zip(got["rows"], want["record"]):
        row, ids, auth = b["row"], b["identifiers"], b["auth_results"]
        pairs += [(a["source"], row["source_ip"]), (a["count"], row["count"]),
                  (a["disposition"], word(row["policy_evaluated"]["disposition"])),
                  (a["dkim"], word(row["policy_evaluated"]["dkim"])),
                  (a["spf"], word(row["policy_evaluated"]["spf"])),
                  (len(a["reasons"]), len(row["policy_evaluated"]["reason"])),
                  (a["header_from"], ids["header_from"].lower()),
                  (a["envelope_from"], (ids["envelope_from"] or "").lower()),
                  (len(a["dkim_auth"]), len(auth["dkim"])), (len(a["spf_auth"]), len(auth["spf"]))]
        for x, y in zip(a["dkim_auth"] + a["spf_auth"], auth["dkim"] + auth["spf"]):
            pairs += [(x["domain"], y["domain"].lower()), (x["result"], word(y["result"]))]
            if "selector" in y:
                pairs += [(x["selector"], y["selector"] or "")]
        for x, y in zip(a["reasons"], row["policy_evaluated"]["reason"]):
            pairs += [(text(x["comment"]), text(y["comment"]))]
    for a, b in pairs:
        if a != b:
            failures.append(f"{name}: {a!r} is not {b!r}")


def good(name, data, expected):
    code, out = run(data)
    if code != 0:
        failures.append(f"{name}: refused, {code} {out[:80]!r}")
        return 0
    got = parsed(out)
    rows = len(re.findall(rb"<(?:\w+:)?record[\s>]", unpacked(data)))
    damaged = name.startswith("bad.com")  # its third record is no XML any more
    if len(got["rows"]) != rows - damaged or rows == 0 or got["damaged"] != damaged:
        failures.append(f"{name}: {len(got['rows'])} rows of {rows}")
    if expected:
        compare(name, got, expected)
    return len(got["rows"])


def suite():
    files = rows = refused = 0
    for folder, _, names in sorted(os.walk(VECTORS)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name.endswith(".json") or name == "SOURCE.txt":
                continue
            raw = open(path, "rb").read()
            beside = os.path.splitext(path)[0] + ".json"
            expected = json.load(open(beside)) if os.path.exists(beside) else None
            parts = list(attachments(raw)) if name.endswith(".eml") else [raw]
            if re.search(r"invalid|empty|-ignored", name):
                for data in parts:
                    code, out = run(data)
                    if code == 0 and "-ignored" in name:
                        continue  # a report like any other; its owner did not want it
                    if code != 1:
                        failures.append(f"{name}: exit {code}")
                refused += 1
                continue
            if not parts:
                failures.append(f"{name}: no attachment found")
            for data in parts:
                rows += good(name, data, expected)
            files += 1
    print(f"dmarc-reports: {files} reports, {rows} rows, {refused} others without harm")
    if files != 34 or refused != 2:
        failures.append(f"{files} reports and {refused} others: the suite has changed")


def xml(rows, head="", meta="<org_name>x</org_name>"):
    return (f"<?xml version='1.0'?>{head}<feedback><report_metadata>{meta}</report_metadata>"
            f"{rows}</feedback>").encode()


ROW = "<record><row><source_ip>192.0.2.1</source_ip><count>1</count></row></record>"


def hostile():
    lol = "".join(f"<!ENTITY l{i} \"{'&l%d;' % (i - 1) * 10}\">" for i in range(1, 10))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a.xml", b"<feedback>" + b" " * 40_000_000)
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as z:
        z.writestr("a.zip", packed.getvalue()[:1000])
    cases = {
        "billion laughs": xml(ROW + "<a>&l9;</a>", f"<!DOCTYPE x [<!ENTITY l0 'lol'>{lol}]>"),
        "external entity": xml(ROW, "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>",
                               "<org_name>&e;</org_name>"),
        "doctype alone": xml(ROW, "<!DOCTYPE feedback>"),
        "undefined entity": xml(ROW, "", "<org_name>&e;</org_name>"),
        "zip bomb": packed.getvalue(),
        "gzip bomb": gzip.compress(b"<feedback>" + b"<a/>" * 8_000_000, 9),
        "zip in zip": nested.getvalue(),
        "no rows": xml(""),
        "cut in the first row": xml(ROW)[:-30],
        "cut without an id": xml(ROW)[:-5],
        "not a report": b"<html></html>",
        "empty": b"",
        "gzip header alone": b"\x1f\x8b",
        "zip header alone": b"PK\x03\x04",
        "deep": b"<feedback>" + b"<a>" * 1_000_000,
        "different names": b"<feedback>" + b"".join(b"<a%d/>" % i for i in range(500_000)),
        "different attributes": b"<feedback " + b" ".join(b"a%d=''" % i for i in range(500_000)) + b">",
        "one long token": b"<feedback><!--" + b"x" * 9_000_000,
        "one long attribute": b"<feedback a='" + b"x" * 9_000_000,
        "too long": xml(ROW * 140_000),
        "many texts": xml("", "", "<email>" + "x" * 900 + "</email>") * 1,
        "endless metadata": xml(ROW, "", ("<email>" + "x" * 1000 + "</email>") * 9000),
        "utf-16": xml(ROW).decode().encode("utf-16"),
    }
    for name, data in cases.items():
        code, out = run(data)
        if code != 1:
            failures.append(f"{name}: exit {code} {out[:100]!r}")
    # a million rows do not fit; what fits is read to the last row
    many = xml(ROW * 30_000)
    code, out = run(many)
    if code != 0 or len(parsed(out)["rows"]) != 30_000:
        failures.append(f"30000 rows: exit {code}")
    # nothing of a record survives into the report, whatever its names
    odd = xml("<record><report_metadata><org_name>evil</org_name></report_metadata><feedback>"
              "<version>9</version></feedback></record>" * 3)
    code, out = run(odd)
    if code != 0 or parsed(out)["org_name"] != "x" or parsed(out)["version"] != "":
        failures.append(f"nested metadata: {code} {out[:200]!r}")
    print(f"hostile reports: {len(cases)} refused, 2 read")


def tls_pairs(got, policies, want):
    """want: the report as JSON says it itself; mx-host may be one string."""
    as_list = lambda v: [v] if isinstance(v, str) else v or []
    yield got["organization"], want.get("organization-name", "")
    yield got["contact"], want.get("contact-info", "")
    yield got["id"], want.get("report-id", "")
    begin = datetime.datetime.fromisoformat(want["date-range"]["start-datetime"].replace("Z", "+00:00"))
    yield got["start"], int(begin.timestamp())
    yield len(policies), len(want["policies"])
    for p, q in zip(policies, want["policies"]):
        yield p["type"], q["policy"]["policy-type"]
        yield p["domain"], q["policy"].get("policy-domain", "")
        yield p["string"], "\n".join(as_list(q["policy"].get("policy-string")))
        yield p["mx"], ", ".join(as_list(q["policy"].get("mx-host")))
        yield p["successes"], q["summary"].get("total-successful-session-count", 0)
        yield p["failed"], q["summary"].get("total-failure-session-count", 0)
        yield len(p["failures"]), len(q.get("failure-details") or [])
        for f, g in zip(p["failures"], q.get("failure-details") or []):
            yield f["type"], g["result-type"]
            yield f["sessions"], g["failed-session-count"]
            yield f["sending"], g.get("sending-mta-ip", "")
            yield f["receiving"], g.get("receiving-ip", "")
            yield f["mx"], g.get("receiving-mx-hostname", "")
            yield f["info"], g.get("additional-information", "")
            yield f["reason"], g.get("failure-reason-code", "")


def tls_suite():
    files = 0
    for folder, _, names in sorted(os.walk(os.path.join(ALL, "tlsrpt"))):
        for name in sorted(names):
            raw = open(os.path.join(folder, name), "rb").read()
            if name == "SOURCE.txt":
                continue
            for data in list(attachments(raw)) if name.endswith(".eml") else [raw]:
                code, out = run(data, "tls")
                if code != 0:
                    failures.append(f"{name}: refused, {code} {out[:80]!r}")
                    continue
                *policies, got = [json.loads(line) for line in out.splitlines()]
                for a, b in tls_pairs(got, policies, json.loads(unpacked(data))):
                    if a != b:
                        failures.append(f"{name}: {a!r} is not {b!r}")
                files += 1
    print(f"tlsrpt: {files} reports")
    if files != 8:
        failures.append(f"tlsrpt: {files} files: the suite has changed")
    for what, data in {"deep": b"[" * 100_000, "wide": b"[" + b"[]," * 300_000 + b"[]]",
                       "objects": b"[" + b"{}," * 300_000 + b"{}]", "not a report": b"{}", "empty": b"",
                       "no policies": b'{"policies":[]}', "numbers": b'{"policies":[' + b"1," * 900_000,
                       "strings": b'{"policies":["' + b"x" * 9_000_000 + b'"]}',
                       "bomb": gzip.compress(b" " * 60_000_000), "cut": b'{"policies":[{"policy":'}.items():
        code, out = run(data, "tls")
        if code != 1:
            failures.append(f"tls, {what}: exit {code} {out[:80]!r}")


def arf_suite():
    files = 0
    for folder, _, names in sorted(os.walk(os.path.join(ALL, "arf"))):
        for name in sorted(n for n in names if n.endswith(".eml")):
            path = os.path.join(folder, name)
            message = email.message_from_bytes(open(path, "rb").read(), policy=email.policy.compat32)
            parts = [p for p in message.walk() if p.get_content_type() == "message/feedback-report"]
            if len(parts) != 1:
                failures.append(f"{name}: {len(parts)} feedback reports")
                continue
            part = parts[0]
            # Python reads message/* as a message of its own: put the fields together again
            data = part.get_payload(decode=True)
            if data is None:
                inner = part.get_payload(0)
                data = inner.as_bytes()
                if part.get("Content-Transfer-Encoding", "").lower() == "base64":
                    data = base64.b64decode(inner.get_payload())
            code, out = run(data, "arf")
            if code != 0:
                failures.append(f"{name}: refused, {code} {out[:80]!r}")
                continue
            files += 1
            got = json.loads(out)
            beside = os.path.splitext(path)[0] + ".json"
            if not os.path.exists(beside):
                if not got["type"] or not got["source_ip"]:
                    failures.append(f"{name}: {got}")
                continue
            compare_arf(name, got, json.load(open(beside)))
    print(f"arf: {files} reports")
    if files != 7:
        failures.append(f"arf: {files} files: the suite has changed")


def compare_arf(name, got, want):
    flat = lambda v: " ".join(v.split()) if isinstance(v, str) else v
    word = lambda s: "" if s == "Unspecified" else re.sub(r"-", "", s.lower())
    pairs = [(got["type"].replace("-", ""), word(want["feedback_type"])),
             (got["auth_failure"].replace("-", ""), word(want["auth_failure"])),
             (got["delivery_result"].replace("-", ""), word(want["delivery_result"])),
             (got["arrival_date"], want["arrival_date"] or 0), (got["incidents"], want["incidents"]),
             (got["version"], want["version"])]
    for key in ("user_agent", "original_mail_from", "original_envelope_id", "reporting_mta", "source_ip",
                "dkim_domain", "dkim_identity", "dkim_selector", "dkim_canonicalized_body", "spf_dns"):
        pairs.append((flat(got[key]), flat(want[key] or "")))
    for key in ("reported_domain", "reported_uri", "authentication_results"):
        pairs.append(([flat(x) for x in got[key]], [flat(x) for x in want[key]]))
    if want["original_rcpt_to"]:
        pairs.append((got["original_rcpt_to"][-1], want["original_rcpt_to"]))
    for a, b in pairs:
        if a != b:
            failures.append(f"{name}: {a!r} is not {b!r}")


if not os.path.isdir(VECTORS):
    print("SKIP: no vectors in", VECTORS)
    hostile()
    sys.exit(1 if failures else 77)
suite()
tls_suite()
arf_suite()
hostile()
print("\n".join(failures))
sys.exit(1 if failures else 0)
