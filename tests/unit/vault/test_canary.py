"""The canary itself: it finds a secret, or half of one, in every form that it claims to find."""

import base64
import gzip
import html
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.canary import Canary

SECRET = b"fake-c4n4ry/7Qx+tR5w_Zk2L&9Ns"
HALF = SECRET[4:24]
FORMS = {
    "plain": SECRET,
    "half": HALF,
    "hex": SECRET.hex().encode(),
    "HEX": HALF.hex().upper().encode(),
    "base64 0": base64.b64encode(SECRET),
    "base64 1": base64.b64encode(b"x" + SECRET),
    "base64 2": base64.urlsafe_b64encode(b"xx" + SECRET),
    "percent": quote(SECRET.decode(), safe="").encode(),
    "json": json.dumps(SECRET.decode()).encode(),
    "html": html.escape(SECRET.decode()).encode(),
    "gzip": b"before" + gzip.compress(b"a" * 100 + SECRET),
    "reversed": SECRET[::-1],
}


@pytest.mark.parametrize("form", FORMS)
def test_it_sings(form: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"some" + FORMS[form] + b"where")
    canary = Canary(SECRET)
    with pytest.raises(AssertionError, match="canary"):
        canary.absent("bytes", b"some" + FORMS[form] + b"where")
    with pytest.raises(AssertionError, match="canary"):
        canary.absent_from_files(tmp_path)


def test_it_is_silent_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(SECRET[:8] + b" " + SECRET[8:16] + gzip.compress(b"nothing"))
    Canary(SECRET).absent_from_files(tmp_path)
