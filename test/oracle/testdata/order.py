import sys
from packaging.version import InvalidVersion, Version

for line in sys.stdin:
    a, b = line.rstrip("\n").split("\t")
    try:
        x, y = Version(a), Version(b)
        print("<" if x < y else ">" if x > y else "=")
    except InvalidVersion:
        print("?")
