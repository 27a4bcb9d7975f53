"""Where a training stands, as one file that is there whole or not at all. Needs torch.

A safetensors file: the tensors by name, and everything else as JSON in its header. Nothing is pickled.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from tellapart.files import write_bytes

_FACTS = "facts"
Tensors = dict[str, torch.Tensor]


def pack(tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> bytes:
    """Tensors and JSON-able facts as the bytes of one safetensors file."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(whole, {_FACTS: json.dumps(facts)})


def unpack(data: bytes) -> tuple[Tensors, dict[str, Any]]:
    """What `pack` packed.

    Raises:
        ValueError: it is something else, or cut off.
    """
    try:
        length = int.from_bytes(data[:8], "little")
        facts = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_FACTS])
        return load(data), dict(facts)
    except (SafetensorError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"no checkpoint: {error}") from error


def save_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Write a checkpoint in the place of the one before.

    Raises:
        TellapartError: the disk is full or the folder cannot be written.
    """
    write_bytes(path, pack(tensors, facts))


def read_checkpoint(path: Path, identity: str) -> bytes:
    """The checkpoint of the training of that identity, for `unpack`; empty where there is none that can be read."""
    try:
        data = path.read_bytes()
        return data if unpack(data)[1].get("identity") == identity else b""
    except (OSError, ValueError):
        return b""


def under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Tensors with `prefix.` before each name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """The tensors whose names begin with `prefix.`, without it."""
    return {n.removeprefix(f"{prefix}."): t for n, t in tensors.items() if n.startswith(f"{prefix}.")}
