"""The same examples in every run; ZHIAN_OFFLINE_EXAMPLES=5000 looks for others, and for longer."""

import os

from hypothesis import settings

EXAMPLES = os.environ.get("ZHIAN_OFFLINE_EXAMPLES")
settings.register_profile(
    "offline", deadline=None, max_examples=int(EXAMPLES or "60"), derandomize=EXAMPLES is None, database=None
)
settings.load_profile("offline")
