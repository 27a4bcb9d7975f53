"""What tests of fine-tuning share: settings under which it takes a second, and running it."""

from typing import Any

import torch

from tellapart.backbones import BACKBONES
from tellapart.network import load_module
from tellapart.preprocess import Preprocessing
from tellapart.progress import silent
from training.distributed import World
from training.finetune import Job, Tuned, fine_tune
from training.trainable import Recipe

SMALL = Preprocessing(32, 32, "bilinear", (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
RECIPE = Recipe(epochs=3, batch_size=6, learning_rate=1e-3, augmentation=0.2)


def tune(job: Job, **named: Any) -> Tuned:
    """Do a job alone; it has the time for a step."""
    tuned = fine_tune(job, World(), silent, **named)
    assert tuned is not None
    return tuned


def load_module_of(job: Job) -> torch.nn.Module:
    """The network that a job begins with."""
    return load_module(BACKBONES[job.backbone], job.state)
