"""`python -m zhian` is the same as `zhian`."""

from zhian.cli import main

main()
