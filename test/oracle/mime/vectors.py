#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what lib/parse/mime reads with what mime-mailparser expects of its mails: where each part
begins and ends, and its decoded body (text as UTF-8).

  vectors.py DUMP_PROGRAM VECTORS_DIR

Every mail that is read differently must stand below with its reason."""
import glob
import json
import os
import subprocess
import sys

SAME_AS_PYTHON = 'malformed; read as Python reads it, see differential.py'
DIFFERENCES = {
    'legacy/005.eml': 'UTF-7 is not converted (lib/base/charset.h)',
    'legacy/026.eml': 'octets that the charset does not explain are read as Windows-1252',
    'legacy/052.eml': 'octets that the charset does not explain are read as Windows-1252',
    'malformed/001.eml': 'the innermost open multipart takes the delimiter that both could',
    'malformed/004.eml': 'a delimiter is a whole line: "--ab" is none of the boundary "a"',
    'malformed/007.eml': 'a header ends with an empty line',
    'malformed/008.eml': 'the header begins behind the line end of the delimiter',
    'malformed/009.eml': SAME_AS_PYTHON,
    'malformed/011.eml': SAME_AS_PYTHON,
    'malformed/012.eml': SAME_AS_PYTHON,
    'malformed/013.eml': 'the innermost open multipart takes the delimiter that both could',
    'malformed/014.eml': SAME_AS_PYTHON,
    'malformed/018.eml': 'LF and CRLF are mixed: the expected offsets are those of a converted copy',
    'malformed/020.eml': SAME_AS_PYTHON,
    'malformed/022.eml': 'a header ends with an empty line',
    'rfc/008.eml': 'base64 on message/rfc822 is forbidden (RFC 2046 5.2.1)',
    'thirdparty/002.eml': 'a header ends with an empty line; broken base64 is skipped octet by octet',
    'thirdparty/015.eml': 'a header ends with an empty line',
}


def expected(message, out):
    for part in message['parts']:
        kind, value = next(iter(part['body'].items()))
        start = (part['offset_header'], part['offset_body'])
        if kind == 'Multipart':
            out.append(start + (None, None))
        elif kind == 'Message':
            out.append(start + (part['offset_end'], None))
            expected(value, out)
        else:
            value = value.encode() if isinstance(value, str) else bytes(value)
            out.append(start + (part['offset_end'], value))


def ours(program, paths):
    text = subprocess.run([program, '-t'], input='\n'.join(paths).encode(), check=True,
                          stdout=subprocess.PIPE).stdout.decode('latin-1')
    found = {}
    for line in text.splitlines():
        if line.startswith('='):
            found[line[1:]] = current = []
            continue
        f = line.split(' ')
        body = bytes.fromhex(f[7]) if f[2] == '0' else None
        current.append((int(f[4]), int(f[5]), int(f[6]), body))
    return found


def differs(want, got):
    if len(want) != len(got):
        return '%d parts, not %d' % (len(got), len(want))
    for w, g in zip(want, got):
        for i in range(4):
            if w[i] is not None and w[i] != g[i]:
                return '%s, not %s' % (str(g)[:200], str(w)[:200])
    return None


def main():
    program, vectors = sys.argv[1:]
    folder = os.path.join(vectors, 'mime-mailparser')
    if not os.path.isdir(folder):
        print('SKIP: no ../shared/vectors/mime-mailparser')
        return 77
    paths = sorted(glob.glob(folder + '/*/*.eml'))
    found = ours(program, paths)
    bad = known = 0
    for path in paths:
        with open(path, 'rb') as f:
            form = '.crlf.json' if b'\r\n' in f.read() else '.json'
        want = []
        with open(path[:-4] + form) as f:
            expected(json.load(f), want)
        why = differs(want, found[path])
        name = os.path.relpath(path, folder)
        if (why is not None) == (name in DIFFERENCES):
            known += why is not None
            continue
        bad += 1
        print('%s: %s' % (name, why or 'no difference any more, strike it'))
    print('%d mails, %d read differently for a reason, %d without' % (len(paths), known, bad))
    return 1 if bad or len(paths) < 70 else 0


if __name__ == '__main__':
    sys.exit(main())
