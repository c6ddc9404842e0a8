"""Why a sequence was or was not believed, in words. Codes go into observations and events; words are for people."""

from __future__ import annotations

from collections.abc import Mapping

NOT_ENOUGH_EVIDENCE = "not_enough_evidence"
NO_CHALLENGE_DONE = "challenge_not_done"
NO_LIFE = "no_life_seen"
NOT_ASKED = "not_asked"  # what a face has to be asked for could not be shown
TOO_MANY_TRIES = "too_many_tries"
# Suspicions, by the test that has them.
ACCUSED = {
    "relief": "flat",
    "parallax": "flat",
    "challenge": "challenge_wrong",
    "flicker": "flicker",
    "moire": "moire",
    "bezel": "bezel",
    "light": "light_not_answered",
    "passive": "passive_model",
}
SEEN = {"parallax": "depth_seen", "life": "life_seen", "challenge": "challenge_done", "light": "light_answered"}
WORDS: Mapping[str, Mapping[str, str]] = {
    NOT_ENOUGH_EVIDENCE: {
        "zh": "看到的还不够，无法判断是真人；请看着门并轻轻左右转头",
        "en": "too little was seen to tell; look at the door and turn your head a little from side to side",
    },
    NO_CHALLENGE_DONE: {"zh": "要求的动作没有在时限内完成", "en": "what was asked for was not done in time"},
    NOT_ASKED: {
        "zh": "门口无法显示要求的动作或灯光，请用其他方式进门",
        "en": "the door could not show what was to be done; use another way in",
    },
    TOO_MANY_TRIES: {
        "zh": "多次没有按要求完成，请用其他方式进门",
        "en": "it was tried too often without being done; use another way in",
    },
    NO_LIFE: {"zh": "没有看到眨眼", "en": "no blink was seen"},
    "flat": {"zh": "看到的是平的或弯曲的画面，不是立体的脸", "en": "what was seen is flat or bent, not a solid face"},
    "challenge_wrong": {"zh": "做的动作与要求的不同", "en": "something else was done than was asked for"},
    "flicker": {"zh": "画面有屏幕的滚动条纹", "en": "rolling bands, as a screen has them"},
    "moire": {"zh": "画面有屏幕的网纹", "en": "a regular grid, as a screen's pixels make it"},
    "bezel": {"zh": "脸的四周有随之移动的边框", "en": "an edge round the face that moves with it"},
    "light_not_answered": {"zh": "脸没有反射门口的灯光", "en": "the face did not send back the door's light"},
    "passive_model": {"zh": "附加模型认为不是真人", "en": "the additional model took it for an attack"},
    "depth_seen": {"zh": "看到了立体的脸", "en": "a solid face was seen"},
    "life_seen": {"zh": "看到了眨眼", "en": "a blink was seen"},
    "challenge_done": {"zh": "按要求完成了动作", "en": "what was asked for was done"},
    "light_answered": {"zh": "脸反射了门口的灯光", "en": "the face sent back the door's light"},
}
