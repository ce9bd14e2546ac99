"""The bytes of a frame on the wire."""

import pytest
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode

from realtime.protocol.outgoing import Frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576])
def test_a_frame_has_the_header_of_its_size(size):
    payload = b"x" * size
    assert Frame(payload).wire == WireFrame(Opcode.TEXT, payload).serialize(mask=False)
