"""The tests."""

import atexit
import os
import shutil
import tempfile

# Where transformers puts code of checkpoints that is run: each process of the tests has its own, or one would find
# another's half-written files. It is read when transformers is first imported.
os.environ["HF_MODULES_CACHE"] = tempfile.mkdtemp()
atexit.register(shutil.rmtree, os.environ["HF_MODULES_CACHE"], ignore_errors=True)
