"""Sequences before a door's camera: a head, or its picture on paper, as a mask, or on a screen. From seeds alone.

Every frame comes with the landmarks as they are (no net has looked), and, where asked, with its picture.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sim.render.heads import motion, skin
from sim.render.heads.camera import Sensor, take, wall
from sim.render.heads.raster import Camera, Layer, Lights, Picture, paint, project, shading
from sim.render.heads.shape import EYE_CORNERS, FOLDS, LOWER_LIDS, POINTS, UPPER_LIDS, Surface, expressed, somebody
from sim.render.heads.sheet import Screen, Sheet, bezel_of, eye_holes, lit_by_itself

LIVE = "live"
ATTACKS = ("print_flat", "print_bent", "print_flexed", "mask_eyes", "screen_still", "screen_video")
PHOTO = Camera(480, 480, 1050.0)  # the attacker's picture of the person: sharper than the door's
VIDEO = Camera(400, 400, 850.0)
LID_POINTS = tuple(
    n for group in (UPPER_LIDS, LOWER_LIDS, FOLDS) for eye in group for n in eye
) + tuple(n for eye in EYE_CORNERS for n in eye)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """mesh: (468, 3) float32, x and y in pixels, z relative depth in the same, nearer is smaller. image: as asked."""

    at_ms: int
    mesh: NDArray[np.float32]
    image: Picture | None


@dataclass(frozen=True, slots=True)
class Stage:
    """What a sequence is made with. lamp: the door's light at each frame, None where it is not used."""

    times_ms: tuple[int, ...] = tuple(range(0, 2400, 150))
    acts: tuple[motion.Act, ...] = ()
    lamp: tuple[bool, ...] | None = None
    pictures: bool = True
    camera: Camera = field(default_factory=Camera)
    lamp_strength: float = 0.16  # of the door's light at arm's length, beside 1 of a lit lobby: an assumption
    turn: float | None = None  # radians of the head's turning to and fro; None: by chance
    tilt: float | None = None  # radians by which a picture is turned to and fro; None: by chance
    source_acts: tuple[motion.Act, ...] = ()  # what the replayed person did
    source_frames: int | None = None  # of the video, which is then played again; None: as long as the sequence


@dataclass(frozen=True, slots=True)
class Present:
    """What is so at the door at each frame, asked as it is drawn: the time since the first, the acts that somebody
    there has begun or will do by then, and whether the door's light is on."""

    now_ms: Callable[[], int]
    acts: Callable[[int], Sequence[motion.Act]]
    lamp: Callable[[], bool]


class Head:
    """One person by chance, and their texture where pictures are wanted."""

    def __init__(self, rng: np.random.Generator, *, textured: bool) -> None:
        self.surface = somebody(rng)
        self._colours = skin.colours(rng)
        self._plain = skin.draw(self._colours) if textured else None
        self._looks: dict[tuple[float, float], skin.Texture] = {}

    def at(self, pose: motion.Pose) -> NDArray[np.float64]:
        """The vertices in the camera's frame."""
        return motion.placed(expressed(self.surface.points, pose.closed, pose.jaw_cm), pose)

    def layer(self, pose: motion.Pose, camera: Camera, lights: Lights) -> Layer:
        if self._plain is None:
            raise ValueError("this head was made without a texture; make it with textured=True")
        if pose.gaze not in self._looks:
            self._looks[pose.gaze] = skin.look(self._plain, self._colours, pose.gaze)
        points = self.at(pose)
        bright = shading(points, self.surface.triangles, lights)
        posed = Surface(points, self.surface.uv, self.surface.triangles)
        return paint(posed, self._looks[pose.gaze], camera, bright)


def play(kind: str, seed: int, stage: Stage, *, visit: int = 0) -> list[Frame]:
    """The frames of one sequence of LIVE or one of ATTACKS. The same person for the same seed, whatever the kind.

    `visit`: another number, and the same person comes another time: moves, light and background differ.
    """
    if kind not in (LIVE, *ATTACKS):
        raise ValueError(f"sequence kind {kind!r}: expected one of {', '.join((LIVE, *ATTACKS))}")
    return list(_frames(kind, seed, stage, visit, None))


def follow(kind: str, seed: int, stage: Stage, present: Present, *, visit: int = 0) -> Iterator[Frame]:
    """As `play`, frame by frame as they are asked for: a living head does what `present` says, the replayed one does
    what it did when it was filmed; the door's light falls on either."""
    return _frames(kind, seed, stage, visit, present)


def _moments(stage: Stage, present: Present | None) -> Iterator[tuple[int, int]]:
    """Number of the planned frame, and when it is: as planned, or whenever it comes to be drawn."""
    if present is None:
        yield from enumerate(stage.times_ms)
        return
    while (now_ms := present.now_ms()) <= stage.times_ms[-1]:
        yield bisect_right(stage.times_ms, now_ms) - 1, now_ms


def _frames(kind: str, seed: int, stage: Stage, visit: int, present: Present | None) -> Iterator[Frame]:
    head = Head(np.random.default_rng([seed, 1]), textured=stage.pictures)
    rng = np.random.default_rng([seed, 2, (LIVE, *ATTACKS).index(kind), *([visit] if visit else [])])
    if kind == LIVE:
        return _live(head, rng, stage, present)
    return _attack(kind, head, rng, stage, present)


def _poses(rng: np.random.Generator, stage: Stage, acts: Sequence[motion.Act]) -> list[motion.Pose]:
    if acts:
        return motion.obeying(rng, stage.times_ms, acts)
    return motion.natural(rng, stage.times_ms, stage.turn)


def _lights(rng: np.random.Generator) -> Lights:
    direction = np.array([rng.normal(0, 0.5), rng.uniform(0.1, 0.9), 0.8])
    x, y, z = (direction / np.linalg.norm(direction)).tolist()
    return Lights(rng.uniform(0.45, 0.65), rng.uniform(0.3, 0.55), (x, y, z))


def _lamp(stage: Stage, number: int, present: Present | None) -> float:
    if present is not None:
        return stage.lamp_strength if present.lamp() else 0.0
    return stage.lamp_strength if stage.lamp is not None and stage.lamp[number] else 0.0


def _mesh(points: NDArray[np.float64], camera: Camera) -> NDArray[np.float32]:
    seen = project(points[:POINTS], camera)
    scale = camera.focal_px / seen[:, 2].mean()
    return np.column_stack([seen[:, :2], (seen[:, 2] - seen[:, 2].mean()) * scale]).astype(np.float32)


def _live(head: Head, rng: np.random.Generator, stage: Stage, present: Present | None) -> Iterator[Frame]:
    lights, sensor = _lights(rng), Sensor.by_chance(rng)
    behind = wall(rng, stage.camera.width, stage.camera.height)
    poses = _poses(rng, stage, stage.acts)
    size = rng.uniform(1.0, 1.25) if present is not None else 1.0
    for number, at_ms in _moments(stage, present):
        pose = poses[number]
        if present is not None:
            acts = present.acts(at_ms)
            pose = motion.doing(motion.attending(pose, at_ms, acts), at_ms, acts, size)
        mesh, image = _mesh(head.at(pose), stage.camera), None
        if stage.pictures:
            layer = head.layer(pose, stage.camera, replace(lights, lamp=_lamp(stage, number, present)))
            image = take(np.where(layer.there[..., None], layer.colours, behind), sensor, rng)
        yield Frame(at_ms, mesh, image)


def _attack(kind: str, head: Head, rng: np.random.Generator, stage: Stage, present: Present | None) -> Iterator[Frame]:
    lights, sensor = _lights(rng), Sensor.by_chance(rng)
    behind = wall(rng, stage.camera.width, stage.camera.height)
    source, camera = _source(kind, head, rng, stage)
    sheet = Sheet.by_chance(kind, rng)
    screen = Screen.by_chance(rng) if kind.startswith("screen") else None
    tilt = np.deg2rad(rng.uniform(4, 22)) if stage.tilt is None else stage.tilt
    if screen is not None and kind == "screen_video":
        tilt = tilt / 4  # whoever replays a moving head has no need to turn the screen
    holes = eye_holes(source[0].mesh[:, :2], camera) if kind == "mask_eyes" else None
    wearer = Head(np.random.default_rng(rng.integers(2**31)), textured=stage.pictures) if holes is not None else None
    blinks = motion.natural(rng, stage.times_ms)
    held = motion.held(rng, stage.times_ms, tilt)

    def frames() -> Iterator[Frame]:
        for number, at_ms in _moments(stage, present):
            pose, shown = held[number], source[number % len(source)]
            flexed = sheet.at(at_ms)
            mesh = _mesh(motion.placed(flexed.lift(shown.mesh[:, :2], camera), pose), stage.camera)
            wearing = replace(pose, z=pose.z - 9.0, closed=blinks[number].closed, gaze=blinks[number].gaze)
            if wearer is not None:
                through = _mesh(wearer.at(wearing), stage.camera)
                mesh[list(LID_POINTS)] = _moved_to(through[list(LID_POINTS)], mesh[list(LID_POINTS)])
            image = None
            if stage.pictures and shown.image is not None:
                at_lamp = replace(lights, lamp=_lamp(stage, number, present))
                surface = flexed.surface(camera)
                surface = Surface(motion.placed(surface.points, pose), surface.uv, surface.triangles)
                texture = shown.image if screen is None else bezel_of(shown.image, screen)
                bright = shading(surface.points, surface.triangles, at_lamp)
                if screen is not None:
                    bright = lit_by_itself(bright, at_lamp, screen)
                layer = paint(surface, texture, stage.camera, bright)
                colours, there = layer.colours, layer.there
                if screen is not None:
                    colours = screen.modulated(colours, at_ms)
                light = np.where(there[..., None], colours, behind)
                if wearer is not None and holes is not None:
                    under = wearer.layer(wearing, stage.camera, at_lamp)
                    open_here = paint(surface, holes, stage.camera).colours[..., 0] > 127
                    light = np.where((there & open_here & under.there)[..., None], under.colours, light)
                image = take(light.astype(np.float32), sensor, rng)
            yield Frame(at_ms, mesh, image)

    return frames()


def _moved_to(points: NDArray[np.float32], where: NDArray[np.float32]) -> NDArray[np.float32]:
    """The wearer's eyes, put behind the holes: the same place and size as the printed ones."""
    size = float(np.ptp(where[:, 0]) / max(float(np.ptp(points[:, 0])), 1e-6))
    return np.asarray((points - points.mean(0)) * size + where.mean(0), np.float32)


def _source(kind: str, head: Head, rng: np.random.Generator, stage: Stage) -> tuple[list[Frame], Camera]:
    """What the attacker has of the person: one picture, or a video of them moving and blinking before a door."""
    clean = Sensor(0.5, 1.0, 1.0, 92)
    if kind == "screen_video":
        camera = VIDEO
        poses = _poses(rng, stage, stage.source_acts)[: stage.source_frames]
        poses = [replace(pose, x=pose.x * 0.3, y=pose.y * 0.3) for pose in poses]
    else:
        camera = PHOTO
        poses = [motion.Pose(yaw=rng.normal(0, 0.06), pitch=rng.normal(0, 0.05))]
    lights = _lights(rng)
    behind = wall(rng, camera.width, camera.height)
    frames = []
    for number, pose in enumerate(poses):
        image = None
        if stage.pictures:
            layer = head.layer(pose, camera, lights)
            image = take(np.where(layer.there[..., None], layer.colours, behind), clean, rng)
        frames.append(Frame(stage.times_ms[number], _mesh(head.at(pose), camera), image))
    return frames, camera
