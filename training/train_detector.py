"""Train the plate detector on rendered scenes. Seeded: same versions, same samples in the same order.

    nice python -m training.train_detector --out training/scratch/detector.pt [--shards 14] [--start FILE]

One more process draws fresh scenes ahead of the training; later looks at a scene are mirrored and lit anew.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.curve import Curve
from training.nets import CORNER_UNIT, DETECTOR_HEIGHT, DETECTOR_WIDTH, STRIDE, Detector
from training.scene_samples import MOST_PLATES, sample

SHARD, BATCH, LOOKS = 512, 16, 5
ROWS, COLUMNS = DETECTOR_HEIGHT // STRIDE, DETECTOR_WIDTH // STRIDE
MIRRORED = [1, 0, 3, 2]  # the order of corners after mirroring
Shard = tuple[np.ndarray, np.ndarray]


def draw_shard(job: tuple[int, int]) -> Shard:
    """Pictures (n, 192, 320, 3) uint8 and corners (n, MOST_PLATES, 4, 2); everything follows from (seed, number)."""
    from training.fonts import seen

    cv2.setNumThreads(1)
    fonts, rng = seen(), np.random.default_rng([*job, 5])
    pictures = np.empty((SHARD, DETECTOR_HEIGHT, DETECTOR_WIDTH, 3), np.uint8)
    corners = np.empty((SHARD, MOST_PLATES, 4, 2), np.float32)
    for i in range(SHARD):
        pictures[i], corners[i] = sample(rng, fonts)
    return pictures, corners


def targets(corners: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Corners (n, p, 4, 2) px -> centres (n, 24, 40) with soft edges, corner targets (n, 8, 24, 40), their weights."""
    n = len(corners)
    xs, ys = (np.arange(COLUMNS) + 0.5) * STRIDE, (np.arange(ROWS) + 0.5) * STRIDE
    heat = np.zeros((n, ROWS, COLUMNS), np.float32)
    place, weight = np.zeros((n, 8, ROWS, COLUMNS), np.float32), np.zeros((n, ROWS, COLUMNS), np.float32)
    for i, p in zip(*np.where(np.isfinite(corners[..., 0, 0])), strict=True):
        quad = corners[i, p]
        centre, wide = quad.mean(axis=0), max(8.0, float(np.linalg.norm(quad[1] - quad[0])))
        column, row = (int(np.clip(centre[k] // STRIDE, 0, m - 1)) for k, m in ((0, COLUMNS), (1, ROWS)))
        across, down = max(3.5, 0.10 * wide), max(3.0, 0.05 * wide)
        bump = np.exp(
            -((xs[None] - centre[0]) ** 2) / (2 * across**2) - ((ys[:, None] - centre[1]) ** 2) / (2 * down**2)
        )
        bump[row, column] = 1.0
        here = bump > np.maximum(heat[i], 0.3)
        heat[i] = np.maximum(heat[i], bump)
        offsets = (quad.reshape(8)[:, None, None] - np.stack([*np.meshgrid(xs, ys)] * 4)) / CORNER_UNIT
        place[i][:, here] = offsets[:, here]
        weight[i][here] = bump[here] * CORNER_UNIT / wide
    return torch.from_numpy(heat), torch.from_numpy(place), torch.from_numpy(weight)


def loss_of(net: Detector, pictures: Tensor, corners: np.ndarray) -> tuple[Tensor, Tensor]:
    """(centre loss, corner loss): focal loss after CenterNet; mean distance in plate widths."""
    heat, place, weight = targets(corners)
    logits, found = net(pictures)
    share = logits.sigmoid().clamp(1e-5, 1 - 1e-5)
    peak = heat.eq(1).float()
    focal = peak * (1 - share) ** 2 * share.log() + (1 - peak) * (1 - heat) ** 4 * share**2 * (1 - share).log()
    off = functional.smooth_l1_loss(found, place, reduction="none", beta=0.02).mean(1) * weight
    return -focal.sum() / peak.sum().clamp(min=1), off.sum() / weight.gt(0).sum().clamp(min=1)


def batch_of(shards: list[Shard], chosen: list[tuple[int, int]], rng: np.random.Generator) -> tuple[Tensor, np.ndarray]:
    """Pictures as the net takes them, mirrored and lit anew by chance, and their corners."""
    pictures, corners = (np.stack([shards[s][part][i] for s, i in chosen]) for part in (0, 1))
    for k in np.where(rng.random(len(chosen)) < 0.5)[0]:
        pictures[k] = pictures[k][:, ::-1]
        corners[k] = corners[k][:, MIRRORED]
        corners[k, ..., 0] = DETECTOR_WIDTH - corners[k, ..., 0]
    x = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127.5) / 127.5
    gain = torch.from_numpy(rng.uniform(0.75, 1.2, (len(chosen), 3, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.uniform(-0.15, 0.15, (len(chosen), 1, 1, 1)).astype(np.float32))
    return (x * gain + shift).clamp(-1, 1).contiguous(memory_format=torch.channels_last), corners


def train(out: Path, count: int, seed: int, start: Path | None, peak: float) -> None:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    net = Detector().to(memory_format=torch.channels_last)
    first = 0
    if start:
        net.load_state_dict(torch.load(start, weights_only=True))
        first = 1000
    optimiser = torch.optim.AdamW(net.parameters(), peak, weight_decay=1e-3)
    steps, step, running = count * LOOKS * SHARD // BATCH, 0, np.full(2, np.nan)
    curve = Curve(out, "Plate detector: focal loss of centres, distance of corners", steps)
    shards: list[Shard] = []
    with multiprocessing.get_context("spawn").Pool(1, initializer=os.nice, initargs=(5,)) as pool:
        for number, shard in enumerate(pool.imap(draw_shard, [(seed, first + n) for n in range(count)])):
            shards.append(shard)
            rng = np.random.default_rng([seed, first + number, 9])
            order = [(number, i) for i in rng.permutation(SHARD)]
            again = SHARD * (LOOKS - 1)
            earlier, which = rng.integers(0, number + 1, again), rng.integers(0, SHARD, again)
            order += [(int(s), int(i)) for s, i in zip(earlier, which, strict=True)]
            net.train()
            for at in range(0, len(order), BATCH):
                pictures, corners = batch_of(shards, order[at : at + BATCH], rng)
                for group in optimiser.param_groups:
                    warm = min(1.0, (step + 1) / 100)
                    group["lr"] = peak * warm * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.004)
                centre, corner = loss_of(net, pictures, corners)
                optimiser.zero_grad()
                (centre + 4 * corner).backward()
                nn.utils.clip_grad_norm_(net.parameters(), 5.0)
                optimiser.step()
                now = np.array([centre.item(), corner.item()])
                running = now if np.isnan(running[0]) else 0.98 * running + 0.02 * now
                step += 1
                if step % 80 == 0:
                    curve.add(step, centre=running[0], corners=running[1])
            out.parent.mkdir(parents=True, exist_ok=True)
            torch.save(net.state_dict(), out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=14, help=f"of {SHARD} fresh scenes each")
    parser.add_argument("--seed", type=int, default=36)
    parser.add_argument("--start", type=Path, help="continue from these weights")
    parser.add_argument("--peak", type=float, default=1.5e-3, help="highest learning rate")
    given = parser.parse_args()
    train(given.out, given.shards, given.seed, given.start, given.peak)


if __name__ == "__main__":
    main()
