"""What tests of several folders share. `from tests.support import need, shared_folder`.

A test that cannot run says so in one of two ways, and the difference matters on the build machine:

* `need(...)`: something that could have been installed is missing. Here it skips; in CI it fails.
* `shared_folder(...)`: the shared reference material is not part of the repository. It skips in both, and says so.

See tests/conftest.py for the hook that turns every other skip in CI into a failure.
"""

from tests.support.needs import SHARED_ABSENT, in_ci, need, optional, shared_folder

__all__ = ["SHARED_ABSENT", "in_ci", "need", "optional", "shared_folder"]
