#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Replays a fuzz target over the mails of the shared vectors: each as it is, cut everywhere when it is
short, and mutated.

  seeds.py REPLAY_PROGRAM DICTIONARY VECTORS_DIR"""
import os
import subprocess
import sys

FOLDERS = ['mime-python', 'imap-bodystructure', 'mime-nodemailer', 'mime-mailparser/malformed',
           'mime-mime4j/testmsgs', 'mime-mime4j/mimetools-testmsgs', 'mime-enmime/low-quality']


def main():
    program, words, vectors = sys.argv[1:]
    if not os.path.isdir(vectors):
        print('SKIP: no ../shared/vectors')
        return 77
    for folder in FOLDERS:
        if subprocess.call([program, os.path.join(vectors, folder), words, '1000']) != 0:
            print(folder)
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
