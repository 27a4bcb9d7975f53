"""Pictures to pass on: without what the camera, the phone or a program wrote beside the pixels.

JPEG, PNG and WebP are copied piece by piece, and only the pieces that pixels, colours and movement are made of
go along, so that no pixel changes. Of EXIF the orientation alone stays. What comes behind the picture's end (a
second picture, a film) is left out. Other types are made anew from pixels.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from tellapart.images import SUPPORTED, decode, orientation, probe

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # neither stuffing, filling, nor a restart inside a scan
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_APP, _COMMENT = range(0xE0, 0xF0), 0xFE
_JPEG_KEPT = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = {
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT", b"bKGD"),
    *(b"acTL", b"fcTL", b"fdAT"),
}
_WEBP_KEPT = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP", b"ANIM", b"ANMF"}
_WEBP_EXIF, _WEBP_XMP = 0x08, 0x04
_LOSSLESS = {"image/gif", "image/bmp"}
_SMALL = 480  # pixels a side, up to which a preview is nearly exact: what is asked about it later must be the same


def without_metadata(data: bytes) -> tuple[bytes, str]:
    """A picture's bytes without metadata, and the extension they go by.

    Raises:
        ImageError: they are no picture that is taken.
    """
    info, turn = probe(data), orientation(data)
    copy = {"image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp}.get(info.mime)
    if copy is None:
        return _anew(data, "PNG" if info.mime in _LOSSLESS else "JPEG")
    try:
        return b"".join(copy(data, turn)), info.extension
    except (struct.error, IndexError):  # what a decoder forgave
        return _anew(data, "JPEG")


def preview(data: bytes, longest_side: int) -> bytes:
    """A JPEG of at most `longest_side` pixels a side, with nothing of the original but its pixels.

    Raises:
        ImageError: the bytes are no usable picture.
    """
    decoded = decode(data, shorter_side=longest_side * 3 // 4)  # a quarter less on a square one costs half
    decoded.thumbnail((longest_side, longest_side))
    clean = Image.new("RGB", decoded.size)
    clean.paste(decoded)
    buffer = io.BytesIO()
    exact = {"quality": 98, "subsampling": 0} if max(clean.size) <= _SMALL else {"quality": 86}
    clean.save(buffer, "JPEG", **exact)
    return buffer.getvalue()


def _jpeg(data: bytes, turn: int) -> Iterator[bytes]:
    """Segments: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B."""
    yield data[:2]
    if turn > 1:
        exif = b"Exif\0\0" + _tiff(turn)
        yield b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    place = 2
    while found := _MARKER.search(data, place):
        marker = data[found.start() + 1]
        if marker == _END:
            yield b"\xff\xd9"
            return
        end = found.end() + struct.unpack_from(">H", data, found.end())[0]
        if marker == _SCAN:
            next_one = _MARKER.search(data, end)
            end = next_one.start() if next_one else len(data)
        if _is_kept(marker, data[found.end() + 2 : end]):
            yield data[found.start() : end]
        place = end


def _is_kept(marker: int, content: bytes) -> bool:
    if marker in _APP:
        return marker in _JPEG_KEPT and content.startswith(_JPEG_KEPT[marker])
    return marker != _COMMENT


def _png(data: bytes, turn: int) -> Iterator[bytes]:
    """Chunks: https://www.w3.org/TR/png-3/#5Chunk-layout."""
    yield _PNG_HEAD
    place = len(_PNG_HEAD)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if kind in _PNG_KEPT:
            yield data[place:end]
        if kind == b"IHDR" and turn > 1:
            yield _png_chunk(b"eXIf", _tiff(turn))
        if kind == b"IEND":
            return
        place = end


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _webp(data: bytes, turn: int) -> Iterator[bytes]:
    """Chunks: RFC 9649, section 2."""
    chunks, place, whole = [], 12, 8 + struct.unpack_from("<I", data, 4)[0]
    while place < min(whole, len(data)):
        kind, length = struct.unpack_from("<4sI", data, place)
        content = data[place + 8 : place + 8 + length]
        if kind == b"VP8X":
            flags = content[0] & ~(_WEBP_EXIF | _WEBP_XMP) | (_WEBP_EXIF if turn > 1 else 0)
            content = bytes([flags]) + content[1:]
        if kind in _WEBP_KEPT:
            chunks.append(_webp_chunk(kind, content))
        place += 8 + length + length % 2
    if turn > 1:
        chunks.append(_webp_chunk(b"EXIF", _tiff(turn)))
    yield struct.pack("<4sI4s", b"RIFF", 4 + sum(map(len, chunks)), b"WEBP")
    yield from chunks


def _webp_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(content)) + content + b"\0" * (len(content) % 2)


def _tiff(turn: int) -> bytes:
    """EXIF data that says the orientation and nothing else: one directory of one short number."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, turn, 0, 0)


def _anew(data: bytes, kind: str) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    decode(data).save(buffer, kind, quality=95)
    return buffer.getvalue(), SUPPORTED[kind][1]
