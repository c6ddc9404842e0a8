"""Devices are data: one TOML file per device model beside this one, a loader and the rules that a profile must keep.

`load(name)` and `names()` are what the gateway and the simulator use; `examine_file` is behind `zhian profile check`.
"""

from device_profiles.errors import ProfileError
from device_profiles.loading import Examined, examine_file, load, names, shipped
from device_profiles.model import BarrierProfile, CameraProfile, OsdpDeviceProfile, Profile

__all__ = [
    "BarrierProfile",
    "CameraProfile",
    "Examined",
    "OsdpDeviceProfile",
    "Profile",
    "ProfileError",
    "examine_file",
    "load",
    "names",
    "shipped",
]
