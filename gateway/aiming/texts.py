"""The aiming page's texts, (Chinese, English)."""

from __future__ import annotations

from pages.language import Texts

TITLE = ("智安 · 相机调校", "zhian · aiming")

TEXTS: Texts = {
    "aim.title": ("相机：{name}", "Camera: {name}"),
    "aim.private": (
        "仅用于安装调校：画面不保存、不外传，关闭本页即停止识别。",
        "For aiming only: nothing is kept or sent, and reading stops when this page is closed.",
    ),
    "aim.waiting": (
        "还没有收到画面。请检查相机是否通电、来源目录是否正确。",
        "No picture has arrived yet. Check that the camera has power and that its source folder is right.",
    ),
    "aim.stalled": ("画面已停止更新 {seconds} 秒。", "The picture has not changed for {seconds} s."),
    "aim.picture": ("相机画面，已标出找到的车牌", "The camera's picture with the plates that were found"),
    "aim.read": ("读到", "Read"),
    "aim.score": ("得分 {score}", "score {score}"),
    "aim.nothing": ("未读出", "Not legible"),
    "aim.width": ("车牌宽度", "Plate width"),
    "aim.tilt": ("倾斜", "Tilt"),
    "aim.sharp": ("清晰度", "Sharpness"),
    "aim.light": ("亮度", "Light"),
    "aim.px": ("像素；建议 ≥ {good}，至少 {least}", "px; good from {good}, at least {least}"),
    "aim.degrees": ("不超过 {most}°", "at most {most}°"),
    "aim.of": ("应 ≥ {good}", "good from {good}"),
    "aim.lit": ("共 255；应在 {low} 至 {high}", "of 255; {low} to {high} is good"),
    "aim.advice": ("怎么调", "What to change"),
    "aim.no-plate": (
        "没有找到车牌：请让一辆车停在抬杆位置，并使车牌完整入画。",
        "No plate found: let a car stop at the barrier with its whole plate in the picture.",
    ),
    "aim.too-small": (
        "车牌太小，读不出：拉近焦距，或把相机移近。",
        "The plate is too small to be read: zoom in, or mount the camera nearer.",
    ),
    "aim.small": (
        "车牌偏小，雨夜可能读错：再拉近一些。",
        "The plate is small and may be misread in rain or at night: zoom in a little.",
    ),
    "aim.tilted": (
        "车牌倾斜：转正相机，或减小俯仰和侧视角度。",
        "The plate is tilted: level the camera, or look less from the side and from above.",
    ),
    "aim.blurred": (
        "画面模糊，读不准：重新对焦；车在动时缩短快门（1/500 秒或更短）。",
        "The plate is blurred: focus again; for moving cars use a shorter shutter (1/500 s or less).",
    ),
    "aim.soft": ("略有模糊：检查对焦、镜头是否有污渍。", "Slightly soft: check the focus and clean the lens."),
    "aim.dark": ("车牌太暗：加补光灯，或提高增益。", "The plate is too dark: add a lamp, or raise the gain."),
    "aim.bright": (
        "车牌过曝：调低曝光，避免车灯直射镜头。",
        "The plate is overexposed: lower the exposure, and keep headlights from shining straight into the lens.",
    ),
    "aim.glare": (
        "车牌上有反光：把补光灯移开一些，不要与镜头同轴。",
        "There is glare on the plate: move the lamp away from the camera's axis.",
    ),
    "aim.at-edge": (
        "车牌靠近画面边缘：把停车位置移到画面中间。",
        "The plate is at the edge: bring the place where cars stop to the middle.",
    ),
    "aim.good": ("很好：位置、清晰度、亮度都合适。", "Good: size, sharpness and light all fit."),
}
