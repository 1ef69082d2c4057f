@p1@
expression *P;
expression E;
position p;
@@
(
 P@p + E
|
 P@p - E
|
 P@p ++
|
 ++ P@p
|
 P@p --
|
 -- P@p
|
 P@p += E
|
 P@p -= E
)
@script:python@
p << p1.p;
@@
print("%s:%s: pointer arithmetic" % (p[0].file, p[0].line))
