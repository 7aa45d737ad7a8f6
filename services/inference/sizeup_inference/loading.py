"""Choose the engine the settings name. Blocking: for a thread of its own."""

from sizeup_inference.engine import Deliver
from sizeup_inference.fake_model import start_fake
from sizeup_inference.running import Progress, RunningModel, StartEngine
from sizeup_inference.settings import Settings


def load(settings: Settings, deliver: Deliver, progress: Progress) -> RunningModel:
    """Start the engine the settings name; raise whatever stops it."""
    return _start_function(settings)(settings, deliver, progress)


def _start_function(settings: Settings) -> StartEngine:
    if settings.engine == "fake":
        return start_fake
    from sizeup_inference.start import start_engine  # torch: not for the fake

    return start_engine
