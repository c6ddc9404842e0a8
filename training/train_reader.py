"""Train the plate reader on rendered plates. Seeded: same versions, same samples in the same order.

    nice python -m training.train_reader --out training/scratch/reader.pt [--shards 20] [--start FILE]

One more process draws shards of fresh samples ahead of the training; each sample is used twice. No photograph is read.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
from collections import deque
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from training.curve import Curve
from training.nets import SLOTS, Reader
from training.plate_samples import CHARACTERS, HEIGHT, KINDS, WIDTH, sample

SHARD, BATCH, KEPT = 4096, 64, 6
RAMP = 0.25  # share of the training in which faults grow to full strength
Shard = tuple[np.ndarray, np.ndarray, np.ndarray]


def encode(text: str) -> list[int]:
    """Slots: class numbers, blank-padded."""
    return [CHARACTERS.index(c) + 1 for c in text] + [0] * (SLOTS - len(text))


def draw_shard(job: tuple[int, int, int]) -> Shard:
    """Pictures (n, 32, 128, 3), slots (n, 8), kinds (n,) of one shard; everything follows from (seed, number, of)."""
    from training.fonts import seen

    seed, number, total = job
    cv2.setNumThreads(1)
    fonts, rng = seen(), np.random.default_rng([seed, number])
    hard = min(1.0, 0.35 + 0.65 * number / max(1.0, RAMP * total))
    pictures = np.empty((SHARD, HEIGHT, WIDTH, 3), np.uint8)
    slots, kinds = np.empty((SHARD, SLOTS), np.int64), np.empty(SHARD, np.int64)
    for i in range(SHARD):
        picture, text, kind = sample(rng, fonts, hard)
        pictures[i], slots[i], kinds[i] = picture, encode(text), kind
    return pictures, slots, kinds


def prepare(pictures: np.ndarray) -> torch.Tensor:
    """uint8 NHWC to normalised NCHW."""
    x = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127.5) / 127.5
    return x.contiguous(memory_format=torch.channels_last)


def loss_of(net: Reader, pictures: torch.Tensor, slots: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    columns, by_slot, kind = net(pictures)
    lengths = (slots > 0).sum(1)
    targets = slots[slots > 0]
    steps = torch.full((len(slots),), columns.shape[1])
    ctc = functional.ctc_loss(columns.transpose(0, 1).log_softmax(2), targets, steps, lengths, zero_infinity=True)
    slot = functional.cross_entropy(by_slot.flatten(0, 1), slots.flatten())
    first = functional.cross_entropy(by_slot[:, 0], slots[:, 0])  # the province: the hardest, and most often the miss
    return ctc + 2 * slot + 0.5 * first + 0.2 * functional.cross_entropy(kind, kinds, ignore_index=-1)


def jitter(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A second look at a sample differs in light and noise."""
    n = len(x)
    gain = torch.rand(n, 1, 1, 1, generator=generator) * 0.5 + 0.75
    shift = (torch.rand(n, 1, 1, 1, generator=generator) - 0.5) * 0.4
    noise = torch.randn(x.shape, generator=generator) * torch.rand(n, 1, 1, 1, generator=generator) * 0.05
    return (x * gain + shift + noise).clamp(-1, 1)


def train(out: Path, shards: int, seed: int, start: Path | None, peak: float) -> None:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    net = Reader(len(CHARACTERS) + 1, len(KINDS)).to(memory_format=torch.channels_last)
    first = 0
    if start:
        net.load_state_dict(torch.load(start, weights_only=True))
        first = 1000  # other samples than the first training's, at full strength
    optimiser = torch.optim.AdamW(net.parameters(), peak, weight_decay=1e-3)
    steps, step, running = shards * 2 * SHARD // BATCH, 0, math.nan
    curve = Curve(out, "Plate reader: CTC + 2 x slots + 0.5 x first slot + 0.2 x kind", steps)
    kept: deque[Shard] = deque(maxlen=KEPT)
    with multiprocessing.get_context("spawn").Pool(1, initializer=os.nice, initargs=(5,)) as pool:
        jobs = [(seed, first + number, shards) for number in range(shards)]
        for number, shard in enumerate(pool.imap(draw_shard, jobs)):
            kept.append(shard)
            rng = np.random.default_rng([seed, first + number, 7])
            order = [(-1, i) for i in range(SHARD)]
            order += [(int(rng.integers(len(kept))), i) for i in range(SHARD)]
            order = [order[i] for i in rng.permutation(len(order))]
            net.train()
            for at in range(0, len(order), BATCH):
                chosen = order[at : at + BATCH]
                pictures, slots, kinds = (np.stack([kept[s][part][i] for s, i in chosen]) for part in range(3))
                for group in optimiser.param_groups:
                    warm = min(1.0, (step + 1) / 100)
                    group["lr"] = peak * warm * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.004)
                loss = loss_of(
                    net, jitter(prepare(pictures), generator), torch.from_numpy(slots), torch.from_numpy(kinds)
                )
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 5.0)
                optimiser.step()
                running = loss.item() if math.isnan(running) else 0.98 * running + 0.02 * loss.item()
                step += 1
                if step % 64 == 0:
                    curve.add(step, loss=running)
            out.parent.mkdir(parents=True, exist_ok=True)
            torch.save(net.state_dict(), out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=20, help=f"of {SHARD} fresh samples each")
    parser.add_argument("--seed", type=int, default=36)
    parser.add_argument("--start", type=Path, help="continue from these weights")
    parser.add_argument("--peak", type=float, default=2e-3, help="highest learning rate")
    given = parser.parse_args()
    train(given.out, given.shards, given.seed, given.start, given.peak)


if __name__ == "__main__":
    main()
