"""Say in one sentence why zhian cannot run with this interpreter on this machine; silent where it can.

Standard library only, and a syntax that any Python 3 parses: it runs before anything is installed. Exit 0 or 3
(3, so that a broken interpreter's own exit code is not mistaken for an answer).
"""

import os
import platform
import sys

NOT_SUPPORTED = 3
PYTHONS = ((3, 11), (3, 12), (3, 13))
MACHINES = ("x86_64", "aarch64")
GLIBC = (2, 28)  # the oldest glibc that the locked wheels are built for (manylinux_2_28)


def glibc_version():
    """The glibc this interpreter runs on as (major, minor), or None where the C library is another one (musl)."""
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        major, minor = version.split(".")[:2]
        return (int(major), int(minor)) if name == "glibc" else None
    except (AttributeError, OSError, ValueError):
        return None


def why_not():
    """The sentence, or None where everything is supported."""
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        found = platform.system() + " on " + platform.machine()
        return "Linux on x86-64 or 64-bit ARM is needed, this is " + found + "; use such a machine or a container of it"
    if sys.maxsize < 2**32:
        return "a 64-bit system is needed, this Python is a 32-bit one; install a 64-bit system image"
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in PYTHONS:
        found = platform.python_implementation() + " " + platform.python_version() + " (" + sys.executable + ")"
        return (
            "CPython 3.11, 3.12 or 3.13 is needed, found " + found + "; install one (Debian 12: apt-get install"
            " python3 python3-venv) or name it: make venv PYTHON=/path/to/python3.11"
        )
    glibc = glibc_version()
    if glibc is None or glibc < GLIBC:
        found = "another C library" if glibc is None else "glibc " + ".".join(str(part) for part in glibc)
        return "glibc 2.28 or newer is needed, found " + found + "; use Debian 10, Ubuntu 20.04 or anything later"
    return None


def main():
    reason = why_not()
    if reason is not None:
        sys.stderr.write("zhian: " + reason + "\n")
        sys.exit(NOT_SUPPORTED)


if __name__ == "__main__":
    main()
