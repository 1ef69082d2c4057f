#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the structure that lib/parse/mime reads with that of Python's email package, for every mail
of the shared vectors: the tree of types, and how many octets the parts have when they are decoded.

  differential.py DUMP_PROGRAM VECTORS_DIR

Every file where the two differ must stand in one of the lists below, which give the reasons."""
import email
import email.policy
import os
import subprocess
import sys

SUITES = ['mime-python', 'mime-mailparser', 'mime-mime4j', 'mime-mailgem', 'mime-enmime',
          'mime-nodemailer', 'mime-gmime', 'imap-bodystructure']
MAILS = ('.eml', '.msg', '.raw', '.txt')

# a header ends with an empty line (RFC 5322 2.1), as everywhere in Postern; Python ends it at the
# first line that is no field.
HEADER = [
    'mime-python/msg_19.txt',
    'mime-python/msg_35.txt',
    'mime-python/msg_38.txt',
    'mime-mailparser/malformed/022.eml',
    'mime-mailparser/thirdparty/002.eml',
    'mime-mailparser/thirdparty/015.eml',
    'mime-mime4j/mimetools-testmsgs/hdr-fakeout.msg',
    'mime-mime4j/testmsgs/malformedHeader-noheader.msg',
    'mime-mime4j/testmsgs/malformedHeaderStartsBody-nocrlfcrlf.msg',
    'mime-mime4j/testmsgs/malformedHeaderStartsBody-noheader.msg',
    'mime-mime4j/testmsgs/obsolete.msg',
    'mime-enmime/low-quality/bad-header-wrap.raw',
    'mime-enmime/mail/erroneous.raw',
    'mime-enmime/mail/qp-utf8-header-no-break.raw',
]
# two delimiters in a row have an empty part between them; Python drops it.
EMPTY = [
    'mime-python/msg_37.txt',
    'mime-mime4j/mimetools-testmsgs/2002_06_12_doublebound.msg',
    'mime-mime4j/mimetools-testmsgs/double-bound.msg',
    'mime-mime4j/testmsgs/multipartemptypart.msg',
]
# inner and outer multipart have one boundary: the innermost open one takes the delimiter.
INNER = [
    'mime-python/msg_15.txt',
    'mime-python/msg_39.txt',
    'mime-mailparser/malformed/013.eml',
    'mime-mailparser/malformed/003.eml',
]
# no closing delimiter: the last part keeps its line end, which belongs to no delimiter.
LAST = [
    'mime-mailparser/malformed/001.eml',
    'mime-mailparser/malformed/008.eml',
    'mime-mailparser/malformed/009.eml',
    'mime-mailparser/malformed/011.eml',
    'mime-mailparser/malformed/012.eml',
    'mime-mime4j/mimetools-testmsgs/multi-bad.msg',
    'mime-enmime/parts/badboundary.raw',
]
# base64 on message/rfc822 is forbidden (RFC 2046 5.2.1): the octets are read as the message.
ENCODED = [
    'mime-mailparser/rfc/008.eml',
    'mime-mime4j/mimetools-testmsgs/multi-2gifs-base64.msg',
    'imap-bodystructure/008.txt',
]
# a folded boundary is one line (RFC 5322 2.2.3); Python keeps the line end in it.
FOLDED = [
    'mime-mailparser/thirdparty/012.eml',
    'mime-mime4j/mimetools-testmsgs/multi-badnames.msg',
    'mime-mime4j/mimetools-testmsgs/multi-clen.msg',
    'mime-mime4j/mimetools-testmsgs/multi-digest.msg',
    'mime-mime4j/mimetools-testmsgs/multi-simple.msg',
    'imap-bodystructure/014.txt',
]
# a boundary does not end in blanks (RFC 2046 5.1.1), so the line with them does not close it.
BLANKS = [
    'mime-mime4j/testmsgs/very-long-boundary.msg',
    'mime-mime4j/testmsgs/very-very-long-boundary.msg',
    'mime-mime4j/testmsgs/weird-boundary.msg',
]
# a parameter without ';' before it is no part of the type.
TYPE = [
    'mime-enmime/mail/mime-bad-content-type.raw',
    'mime-enmime/mail/mime-blank-media-name.raw',
]
# Content-Transfer-Encoding is its first word; Python wants it alone.
TOKEN = [
    'mime-enmime/mail/mime-bad-content-transfer-encoding.raw',
]
# blanks at the end of a quoted-printable line are dropped (RFC 2045 6.7, rule 3).
QP = [
    'mime-nodemailer/nested.eml',
]
# a delimiter may have text behind it (RFC 2046 5.1.1); Python wants the line alone.
BEHIND = [
    'mime-mailparser/malformed/004.eml',
    'mime-mime4j/testmsgs/ending-boundaries.msg',
]
# DIFFERENCES: path from the vectors folder.
DIFFERENCES = set(HEADER + EMPTY + INNER + LAST + ENCODED + FOLDED + BLANKS + TYPE + TOKEN +
                  QP + BEHIND)


def mails(vectors):
    for suite in SUITES:
        for folder, _, names in sorted(os.walk(os.path.join(vectors, suite))):
            for name in sorted(names):
                path = os.path.join(folder, name)
                if not name.endswith(MAILS) or name == 'SOURCE.txt':
                    continue
                if suite == 'mime-mime4j' and not name.endswith('.msg'):
                    continue
                if suite == 'mime-gmime' and not name.endswith('.eml'):
                    continue
                yield path


def nodes(message, depth, out):
    kind = message.get_content_type()
    if message.is_multipart() and message.get_content_maintype() == 'multipart':
        out.append((depth, kind, None))
        for part in message.get_payload():
            nodes(part, depth + 1, out)
    elif message.is_multipart() and kind in ('message/rfc822', 'message/global'):
        out.append((depth, kind, None))
        nodes(message.get_payload(0), depth + 1, out)
    elif message.is_multipart():
        # Python also reads delivery-status, partial and external-body as messages
        out.append((depth, kind, None))
    elif message.get_content_maintype() == 'multipart' and message.get_boundary():
        out.append((depth, kind, None))  # no part in it
    else:
        if message.get_content_maintype() == 'multipart':
            kind = 'text/plain'  # without a boundary: RFC 2045 section 5.2
        payload = message.get_payload(decode=True)
        octets = 0 if payload is None else len(payload)
        if 'uu' in str(message.get('content-transfer-encoding', '')).lower():
            octets = None  # Python decodes x-uuencode here
        out.append((depth, kind, octets))


def ours(program, paths):
    text = subprocess.run([program], input='\n'.join(paths).encode(), check=True,
                          stdout=subprocess.PIPE).stdout.decode('latin-1')
    found = {}
    for line in text.splitlines():
        if line.startswith('='):
            found[line[1:]] = current = []
            continue
        depth, kind, node, octets = line.split(' ')
        current.append((int(depth), kind, int(octets) if node == '0' else None))
    return found


def same(a, b):
    if len(a) != len(b):
        return False
    for (d1, t1, n1), (d2, t2, n2) in zip(a, b):
        if d1 != d2 or t1 != t2 or (n1 is not None and n2 is not None and n1 != n2):
            return False
    return True


def main():
    program, vectors = sys.argv[1:]
    if not os.path.isdir(vectors):
        print('SKIP: no ../shared/vectors')
        return 77
    paths = list(mails(vectors))
    found = ours(program, paths)
    bad = known = 0
    for path in paths:
        with open(path, 'rb') as f:
            theirs = []
            nodes(email.message_from_bytes(f.read(), policy=email.policy.compat32), 0, theirs)
        name = os.path.relpath(path, vectors)
        if same(found[path], theirs):
            if name in DIFFERENCES:
                print('%s: no difference any more, strike it' % name)
                bad += 1
            continue
        if name in DIFFERENCES:
            known += 1
            continue
        bad += 1
        print('%s:\n  ours   %s\n  theirs %s' % (name, found[path], theirs))
    print('%d mails, %d read differently for a reason, %d without' % (len(paths), known, bad))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
