"""The service, the web page and the worker as processes of their own, and what to send them."""

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
import numpy as np
from PIL import Image

from benchmarks.machine import ROOT, free_port


@dataclass(frozen=True)
class Stack:
    """The addresses of the running web page and service."""

    web: str
    service: str


def make_pictures(count: int, seed: int = 0) -> list[bytes]:
    """JPEG files of 500 x 375 pixels, about 40 kB, all different."""
    rng = np.random.default_rng(seed)
    return [_jpeg(rng.integers(0, 256, (38, 50, 3), dtype=np.uint8)) for _ in range(count)]


def _jpeg(blobs: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(blobs).resize((500, 375), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@contextmanager
def running() -> Iterator[Stack]:
    """The service and the web page on free loopback ports, as `tellapart up` runs them."""
    web, service = free_port(), free_port()
    os.environ.update(TELLAPART_WEB_PORT=str(web), TELLAPART_SERVICE_PORT=str(service))
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, "-m", "cli", "up", "--no-open"], cwd=ROOT, stdout=log, stderr=log)
        try:
            stack = Stack(f"http://127.0.0.1:{web}", f"http://127.0.0.1:{service}")
            if not asyncio.run(_is_ready(stack, process)):
                log.seek(0)
                sys.exit(f"the servers stopped while starting: {log.read().decode(errors='replace')[-2000:]}")
            yield stack
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


async def _is_ready(stack: Stack, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until a picture is answered; False where the servers have ended instead."""
    picture = make_pictures(1)[0]
    async with aiohttp.ClientSession() as session:
        while process.poll() is None:
            try:
                async with session.get(f"{stack.web}/healthz") as answer:
                    ready = answer.status == 200
                if ready:
                    async with session.post(
                        f"{stack.service}/classify", data=upload_form([picture], "image")
                    ) as answer:
                        if answer.status == 200:
                            return True
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    return False


def upload_form(pictures: list[bytes], name: str, **fields: str) -> aiohttp.FormData:
    """Pictures and fields as a browser posts them."""
    form = aiohttp.FormData()
    for key, value in fields.items():
        form.add_field(key, value)
    for picture in pictures:
        form.add_field(name, picture, filename="x.jpg", content_type="image/jpeg")
    return form


async def upload_token(session: aiohttp.ClientSession, web: str) -> str:
    """What the upload form carries, so that the web page takes what is posted."""
    async with session.get(f"{web}/classify") as answer:
        found = re.search(r'name="csrf_token" value="([^"]+)"', await answer.text())
    assert found
    return found[1]
