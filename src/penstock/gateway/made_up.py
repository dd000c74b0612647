"""Made-up names: how long a name may be for something to be kept by it.

Where a pattern like `openai/*` is served, whatever a client writes is the name of a model. It may be as long as it
likes, but what is kept by name must not grow with it: each store of such things bounds how many there are, and this
bounds each. A call for a longer name is served like any other; what is kept of others is found out anew for it.
"""

from __future__ import annotations

LONGEST_NAME = 256
"""Characters (or bytes, where bytes are the key) of a name that something is kept by. The longest in use, those of AWS
with an account and a region in them, have about 150."""
