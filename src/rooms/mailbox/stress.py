#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many clients change the same mailboxes at once while mail arrives: stress.py IMAP_BARE SECONDS.
Every client keeps its own count of messages from EXISTS and EXPUNGE; a sequence number beyond it, a
BAD, a hang or an unclean end of the room is a failure."""
import random, shutil, socket, subprocess, sys, tempfile, threading, time

bare=sys.argv[1]; secs=float(sys.argv[2])
d=tempfile.mkdtemp()
p=subprocess.Popen([bare,d],stdin=subprocess.PIPE,stdout=subprocess.PIPE)
port=int(p.stdout.readline().split()[1])
end=time.time()+secs; total=[0]; bad=[]
def client(seed):
    r=random.Random(seed)
    while time.time()<end:
        s=socket.create_connection(('127.0.0.1',port)); f=s.makefile('rb'); s.settimeout(60)
        f.readline(); exists=0
        def do(cmd):
            nonlocal exists
            s.sendall(b'x '+cmd+b'\r\n'); total[0]+=1
            while True:
                l=f.readline()
                if not l: raise EOFError(cmd)
                if l.endswith(b'}\r\n') and b'{' in l:
                    f.read(int(l[l.rindex(b'{')+1:-3]))
                    continue
                if l.startswith(b'x '):
                    if l.startswith(b'x BAD'): bad.append((cmd,l,exists))
                    return l
                w=l.split()
                if len(w)>2 and w[2]==b'EXISTS': exists=int(w[1])
                if len(w)>2 and w[2]==b'EXPUNGE':
                    if int(w[1])>exists: bad.append((cmd,l,exists))
                    exists-=1
                if len(w)>2 and w[2]==b'FETCH' and int(w[1])>exists: bad.append((cmd,l,exists))
        box=r.choice([b'INBOX',b'INBOX',b'Sent'])
        exists=0; do(b'SELECT '+box)
        for _ in range(r.randrange(5,40)):
            if time.time()>end: break
            k=r.randrange(12)
            n=b'%d'%r.randint(1,exists) if exists else b'1:*'
            if k==0: do(b'APPEND %s {%d+}\r\n%s'%(box,29,b'Subject: x\r\n\r\nbody body bod\r\n'))
            elif k==1: do(b'STORE %s +FLAGS (\\Deleted)'%n)
            elif k==2: do(b'EXPUNGE')
            elif k==3: do(b'FETCH %s (FLAGS UID BODY[])'%n)
            elif k==4: do(b'UID FETCH 1:* (FLAGS)')
            elif k==5: do(b'SEARCH OR SUBJECT x BODY y')
            elif k==6: do(b'COPY %s %s'%(n,r.choice([b'INBOX',b'Sent'])))
            elif k==7: do(b'NOOP')
            elif k==8: do(b'UID MOVE %d:%d Sent'%(r.randint(1,50),r.randint(1,50)))
            elif k==9:
                s.sendall(b'x IDLE\r\n'); f.readline(); time.sleep(r.random()*.05); do0=b'DONE\r\n'
                s.sendall(do0)
                while True:
                    l=f.readline(); w=l.split()
                    if l.startswith(b'x '): break
                    if len(w)>2 and w[2]==b'EXISTS': exists=int(w[1])
                    if len(w)>2 and w[2]==b'EXPUNGE': exists-=1
            elif k==10: do(b'STORE %s FLAGS (kw%d)'%(n,r.randrange(20)))
            else: do(b'FETCH %s (ENVELOPE BODYSTRUCTURE INTERNALDATE)'%n)
        if r.random()<.5: do(b'LOGOUT')
        s.close()
def guard(k):
    try: client(k)
    except Exception as e: bad.append(('exc',repr(e)))
ts=[threading.Thread(target=guard,args=(k,)) for k in range(8)]
[t.start() for t in ts]
nd=0
while time.time()<end:
    p.stdin.write(b'news\n'); p.stdin.flush(); l=p.stdout.readline(); nd+=l.startswith(b'delivered'); time.sleep(.01)
[t.join() for t in ts]
p.stdin.close(); rc=p.wait(30)
print('commands',total[0],'deliveries',nd,'exit',rc,'bad',bad[:5])
shutil.rmtree(d)
sys.exit(1 if bad or rc != 0 or total[0] < 100 or nd < 10 else 0)
