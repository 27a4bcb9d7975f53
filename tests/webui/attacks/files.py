"""What attackers of the page send, and what becomes of it."""

import io
import re
import stat
import struct
import zipfile
import zlib
from urllib.parse import quote

from PIL import Image

from tellapart.dataset import Dataset
from tellapart.images import sha256
from tellapart.manifest import Attempt
from tellapart.pictures import Reason, Status, inspect
from tests.webui.attacks.site import (
    Site,
    archive,
    home,
    refused,
)


def said_of_members(site: Site, data: bytes) -> dict[str, str]:
    """What is said of each file of an archive."""
    batch = site.upload(data, "x.zip").json["batch"]
    answer = site.person("bob").get(f"{batch}/part").json
    return {r["name"]: r.get("error", {}).get("message", "") for r in answer["results"]}  # type: ignore[index]


def link(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


def understated() -> bytes:
    """A file that unpacks to a hundred times what the directory says."""
    data = bytearray(archive({"a.png": bytes(100_000)}))
    place = data.find(b"PK\x01\x02")
    data[place + 24 : place + 28] = (1000).to_bytes(4, "little")
    return bytes(data)


def picture_of(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    body = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def what_a_polyglot_becomes(site: Site) -> tuple[str, str, bool, set[bool]]:
    """A picture with a script behind it, called a page: how it is served, and under what names it is kept."""
    data = site.picture + b"<script>alert(1)</script>"
    result = site.upload(data, "evil.html").json["results"][0]
    with site.person("bob").get(result["picture"]) as shown:
        kinds = shown.headers["Content-Type"], shown.headers["X-Content-Type-Options"]
        clean = b"<script" not in shown.data
    names = {path.name for path in (home(site) / "pictures").glob("*.*")}
    return *kinds, clean, {bool(re.fullmatch(r"[0-9a-f]{64}\.jpg", name)) for name in names}


def with_camera_data() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "my address"
    exif.get_ifd(0x8825)[1] = "N"
    buffer = io.BytesIO()
    Image.new("RGB", (90, 60), "red").save(buffer, "JPEG", exif=exif, comment=b"my address")
    assert buffer.getvalue().count(b"my address") == 2
    return buffer.getvalue()


def camera_data(site: Site) -> set[str]:
    """Where something that only the camera knew is still found in what can be looked at."""
    where = site.upload(with_camera_data(), "a.jpg").json["results"][0]["url"]
    link = re.search(r"/shared/[\w-]+", site.post("bob", f"{where}/shares", days="1").text)[0]  # type: ignore[index]
    found = set()
    for name, path in (("bob", f"{where}/picture.jpg"), ("", f"{link}/picture.jpg")):
        with site.person(name).get(path) as answer:
            assert answer.mimetype == "image/jpeg"
            if b"my address" in answer.data or Image.open(io.BytesIO(answer.data)).getexif():
                found.add(path)
    return found


def taken_along(site: Site) -> set[str]:
    """Members of the pictures' archive that still have what only the camera knew."""
    found = site.app.extensions["tellapart"]
    dataset = Dataset.open(found.settings.datasets / "colours")
    picture = inspect(data := with_camera_data())
    dataset.store(dataset.classes[0].slug, picture, data)
    seen = Attempt("camera", dataset.classes[0].slug, Status.KEPT, Reason.OK).with_picture(picture)
    dataset.manifest.add([seen])
    with zipfile.ZipFile(io.BytesIO(site.person("bob").get(site.address("classifiers.dataset_zip")).data)) as file:
        assert any(picture.sha256 in name for name in file.namelist())
        return {name for name in file.namelist() if b"my address" in file.read(name)}


def added_of(site: Site, *files: tuple[str, bytes]) -> tuple[int, dict[str, str]]:
    """How many files join a class of the data set, and what is said of each other one."""
    slug = Dataset.open(site.app.extensions["tellapart"].settings.datasets / "colours").classes[0].slug
    answer = site.post("bob", "/datasets/colours/uploads", files=files, **{"class": slug})
    if answer.status_code != 200:
        return refused(answer)  # type: ignore[return-value]
    return answer.json["added"], {refusal["name"]: refusal["message"] for refusal in answer.json["refused"]}


def camera_data_of_own_pictures(site: Site) -> set[str]:
    """Where a picture that joined the data set, with a script behind it, shows more than its pixels."""
    data = with_camera_data() + b"<script>alert(1)</script>"
    assert added_of(site, ("evil.html", data)) == (1, {})
    (row,) = Dataset.open(site.app.extensions["tellapart"].settings.datasets / "colours").manifest.with_digest(
        sha256(data)
    )
    assert (row.extension, bool(row.author), "bob" in row.author) == ("jpg", True, False)
    found = set()
    for size in ("small", "large"):
        path = f"/datasets/colours/thumbnails/{quote(row.class_slug)}/{row.sha256}.jpg?size={size}"
        with site.person("ann").get(path) as answer:
            assert (answer.mimetype, answer.headers["X-Content-Type-Options"]) == ("image/jpeg", "nosniff")
            if b"my address" in answer.data or b"<script" in answer.data:
                found.add(size)
    return found | taken_along(site)


def deleted_outside(site: Site) -> tuple[set[int], bool]:
    """Delete what is no data set, by ways out of their folder and by names of ours."""
    settings = site.app.extensions["tellapart"].settings
    (settings.home / "kept").mkdir()
    (settings.home / "kept" / "dataset.json").write_text("{}")
    names = ("../kept", "..%2fkept", "%2e%2e%2fkept", "..", ".", ".deleted", "colours%2f..%2f..%2fkept", "kept%00")
    statuses = {site.post("bob", f"/datasets/{name}/delete").status_code for name in names}
    return statuses, (settings.home / "kept" / "dataset.json").exists() and settings.datasets.exists()
