"""Archives as people upload them."""

import io
import stat
import zipfile


def archive(members: dict[str, bytes], link: str = "") -> bytes:
    """A zip archive of files by name, and of a link where one is given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
        if link:
            info = zipfile.ZipInfo("link.png")
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            file.writestr(info, link)
    return buffer.getvalue()
