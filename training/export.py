"""Write the trained nets as .tflite with their manifest, after comparing every output with torch's.

    python -m training.export --reader training/scratch/reader.pt --detector training/scratch/detector.pt

The same weights give the same bytes. Nothing is written if an output differs by more than TOLERANCE.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from gateway.vision.models import WEIGHTS
from gateway.vision.runtime import Net
from sim.render.plate import PlateKind
from sim.render.scene import approach
from training.nets import Detector, Reader
from training.plate_samples import CHARACTERS, KINDS
from training.plate_samples import sample as plate_sample

TOLERANCE = 0.02  # of a probability, or of a corner in units of 32 px; float16 weights cost this much at most
MOST_BYTES = 1_500_000
ORIGIN = "trained by training/ of this repository on pictures drawn by sim/render; no photograph"
NORMALISATION = "BGR, (v - 127.5) / 127.5"


def torch_outputs(net: Reader | Detector, picture: np.ndarray) -> dict[str, np.ndarray]:
    x = (torch.from_numpy(picture[None]).permute(0, 3, 1, 2).float() - 127.5) / 127.5
    with torch.no_grad():
        out = net(x)
    if isinstance(net, Reader):
        columns, slots, kind = (o.softmax(-1)[0].numpy() for o in out)
        return {"columns": columns, "slots": slots, "kind": kind}
    return {"centre": out[0].sigmoid()[0, ..., None].numpy(), "corners": out[1][0].permute(1, 2, 0).numpy()}


def compare(net: Reader | Detector, content: bytes, pictures: list[np.ndarray]) -> float:
    """The largest difference of any output on any picture. Corners count where the net sees a plate."""
    lite, worst = Net(content, "export"), 0.0
    for picture in pictures:
        got, want = lite.run(picture), torch_outputs(net, picture)
        for name, expected in want.items():
            difference = np.abs(got[name] - expected)
            if name == "corners":
                difference = difference[want["centre"][..., 0] > 0.2]
            worst = max(worst, float(difference.max(initial=0.0)))
    return worst


def load(net: Reader | Detector, path: Path) -> Reader | Detector:
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.eval()


def row(name: str, purpose: str, content: bytes, more: str) -> str:
    net = Net(content, name)
    outputs = net.run(np.zeros(net.input_shape[1:], np.uint8))
    shapes = ", ".join(f"{k} = {[1, *outputs[k].shape]}" for k in sorted(outputs))
    return (
        f'[[model]]\nname = "{name}"\npurpose = "{purpose}"\nfile = "{name}.tflite"\n'
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"\nbytes = {len(content)}\n'
        f'licence = "Apache-2.0"\nlicence_clear = true\norigin = "{ORIGIN}"\n'
        f"input = {list(net.input_shape)}\noutputs = {{ {shapes} }}\n"
        f'normalisation = "{NORMALISATION}"\n{more}'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reader", type=Path, required=True)
    parser.add_argument("--detector", type=Path, required=True)
    parser.add_argument("--to", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    from training.fonts import seen

    torch.set_num_threads(1)
    rng, fonts = np.random.default_rng(1), seen()
    plates = [plate_sample(rng, fonts)[0] for _ in range(200)]
    frames = approach("京A12345", PlateKind.BLUE, seed=1, frames=20, width=320, height=192)
    scenes = [frame.image for frame in frames]
    characters = f'characters = "{CHARACTERS}"\nkinds = {[str(k) for k in KINDS]}\n'.replace("'", '"')
    written = []
    for name, purpose, net, pictures, more in (
        ("plate-detector", "finds plates and their corners in a picture",
         load(Detector(), given.detector), scenes, ""),
        ("plate-reader", "reads the text and the kind of one rectified plate",
         load(Reader(len(CHARACTERS) + 1, len(KINDS)), given.reader), plates, characters),
    ):  # fmt: skip
        content = net.lower()
        worst = compare(net, content, pictures)
        print(f"{name}: {len(content)} bytes, largest difference from torch on {len(pictures)} pictures {worst:.5f}")
        if worst > TOLERANCE or len(content) > MOST_BYTES:
            sys.exit(f"export: {name} differs by {worst} (at most {TOLERANCE}) or is larger than {MOST_BYTES} bytes")
        written.append((name, content, row(name, purpose, content, more)))
    given.to.mkdir(parents=True, exist_ok=True)
    for name, content, _ in written:
        (given.to / f"{name}.tflite").write_bytes(content)
    head = "# Written by training/export.py; docs/models.md has the figures. Do not edit: the hashes are checked.\n\n"
    (given.to / "models.toml").write_text(head + "\n".join(r for *_, r in written), encoding="utf-8")


if __name__ == "__main__":
    main()
