"""Code to copy: how a program asks the service about a picture."""

import json
import shlex
from dataclasses import dataclass

from tellapart.settings import Settings

PICTURE = "picture.jpg"


@dataclass(frozen=True)
class Snippet:
    """One piece of code; `slug` is for ids in the page."""

    slug: str
    title: str
    code: str


def snippets(settings: Settings, model: str) -> list[Snippet]:
    """The same request in three languages, every value quoted as its language wants it.

    Where the service asks for a token, the code reads it from TELLAPART_TOKEN: it is never shown.
    """
    url, secured = f"{settings.service_address}/classify", bool(settings.token)
    return [
        Snippet("curl", "curl", _curl(url, model, secured)),
        Snippet("python", "Python", _python(url, model, secured)),
        Snippet("javascript", "JavaScript (Node 20)", _javascript(url, model, secured)),
    ]


def _curl(url: str, model: str, secured: bool) -> str:
    lines = ["curl " + shlex.quote(url), f"-F image=@{PICTURE}", "-F " + shlex.quote(f"model={model}")]
    if secured:
        lines.insert(1, '-H "Authorization: Bearer $TELLAPART_TOKEN"')
    return " \\\n  ".join(lines)


def _python(url: str, model: str, secured: bool) -> str:
    headers = '        headers={"Authorization": "Bearer " + os.environ["TELLAPART_TOKEN"]},\n' if secured else ""
    return (
        f"{'import os' + chr(10) if secured else ''}import httpx\n\n"
        f'with open("{PICTURE}", "rb") as picture:\n'
        f"    answer = httpx.post(\n"
        f"        {json.dumps(url)},\n"
        f'        files={{"image": picture}},\n'
        f'        data={{"model": {json.dumps(model)}}},\n'
        f"{headers}"
        f"    ).raise_for_status().json()\n"
        f'print(answer["top"], answer["confidence"])'
    )


def _javascript(url: str, model: str, secured: bool) -> str:
    headers = "headers: { Authorization: `Bearer ${process.env.TELLAPART_TOKEN}` }, " if secured else ""
    return (
        f'import {{ openAsBlob }} from "node:fs";\n\n'
        f"const body = new FormData();\n"
        f'body.append("image", await openAsBlob("{PICTURE}"));\n'
        f'body.append("model", {json.dumps(model)});\n'
        f'const response = await fetch({json.dumps(url)}, {{ method: "POST", {headers}body }});\n'
        f"const answer = await response.json();\n"
        f"console.log(answer.top, answer.confidence);"
    )
