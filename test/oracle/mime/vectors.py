#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what lib/parse/mime reads with what others expect of their mails: mime-mailparser where each
part begins and ends, and its decoded body (text as UTF-8); mime-mime4j the decoded bodies.

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
    'malformed/004.eml': 'the innermost open multipart takes the delimiter that both could',
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


# Decoded bodies of mime4j that are not ours.
MIME4J = {
    'empty-preamble_decoded_1_1.txt': 'the message has LF, which stays',
    'mp-msg-rfc822_decoded_1_2_1.txt': 'the message has LF, which stays',
    'multi-2gifs-base64_decoded_1_1_1.txt': 'base64 on message/rfc822 is forbidden',
    'multi-2gifs-base64_decoded_1_1_2.bin': 'base64 on message/rfc822 is forbidden',
    'multi-2gifs-base64_decoded_1_1_3.bin': 'base64 on message/rfc822 is forbidden',
    'malformedHeaderStartsBody-nocrlfcrlf_decoded_1.txt': 'a header ends with an empty line',
    'malformedHeaderStartsBody-noheader_decoded_1.txt': 'a header ends with an empty line',
    'missing-inner-boundary_decoded_1_2_1.txt': 'a multipart without a part has none',
    'multipartemptypart_decoded_1_2.txt': 'behind the closing delimiter there is no part',
    'multipartnestedemptyparts_decoded_1_1.txt': 'a message is no leaf here',
    'very-long-boundary_decoded_1_1.txt': 'a boundary does not end in blanks (RFC 2046 5.1.1)',
    'very-very-long-boundary_decoded_1_1.txt': 'a boundary does not end in blanks',
    'weird-boundary_decoded_1_1.txt': 'a boundary does not end in blanks',
}


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


def numbered(program, paths):
    """Path -> number of the node ("1_2" is the second part of the message) -> decoded octets."""
    text = subprocess.run([program, '-r'], input='\n'.join(paths).encode(), check=True,
                          stdout=subprocess.PIPE).stdout.decode('latin-1')
    found = {}
    for line in text.splitlines():
        if line.startswith('='):
            found[line[1:]] = current = {}
            number = []
            continue
        f = line.split(' ')
        depth = int(f[0])
        number = number[:depth] + [number[depth] + 1 if len(number) > depth else 1]
        if f[2] == '0':
            current['_'.join(map(str, number))] = bytes.fromhex(f[7])
    return found


def mime4j(program, vectors):
    paths = sorted(glob.glob(os.path.join(vectors, 'mime-mime4j', '*', '*.msg')))
    found = numbered(program, paths)
    n = bad = known = 0
    for path in paths:
        for body in sorted(glob.glob(glob.escape(path[:-4]) + '_decoded_*.*')):
            number = os.path.splitext(body)[0][len(path) - 4 + len('_decoded_'):]
            with open(body, 'rb') as f:
                same = f.read() == found[path].get(number)
            n += 1
            if same != (os.path.basename(body) in MIME4J):
                known += not same
                continue
            bad += 1
            print('%s: %s' % (os.path.basename(body), 'as expected, strike it' if same else 'differs'))
    print('%d bodies, %d decoded differently for a reason, %d without' % (n, known, bad))
    return 1 if bad or n < 100 else 0


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
    return 1 if mime4j(program, vectors) or bad or len(paths) < 70 else 0


if __name__ == '__main__':
    sys.exit(main())
