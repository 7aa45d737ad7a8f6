"""How many replicas the load of a model requires. Pure: the clock is an argument, in seconds.

As a HorizontalPodAutoscaler decides: more replicas at once, and fewer only when fewer were enough
all the time within a stabilization window.
"""

import math
from collections import deque

from sizeup_wire.catalog import Autoscaling

_WINDOW_SECONDS = 10.0
"""Of the mean load: long enough that a burst which the replicas compute within seconds starts no
replica, and short beside the time in which a replica starts."""


class LoadHistory:
    """The load of one model since this gateway began to see it."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._loads: deque[tuple[float, float]] = deque()
        """Times and loads within the window."""
        self._required: deque[tuple[float, int]] = deque()
        """Times and numbers of replicas, without those that a later number reaches: the first is
        the largest."""
        self.mean = 0.0
        """Load within the window."""
        self.recommended = 0
        """Replicas that this load requires, within the limits."""

    def record(self, now: float, load: float, held: int, autoscaling: Autoscaling) -> None:
        """Add the present load; `held` replicas are required whatever it is."""
        self._loads.append((now, load))
        while now - self._loads[0][0] > _WINDOW_SECONDS:
            self._loads.popleft()
        self.mean = sum(load for _, load in self._loads) / len(self._loads)
        required = math.ceil(self.mean / autoscaling.target_requests)
        self.recommended = max(autoscaling.min_replicas, min(required, autoscaling.max_replicas))
        self.require(now, max(self.recommended, held))

    def require(self, now: float, replicas: int) -> None:
        while self._required and self._required[-1][1] <= replicas:
            self._required.pop()
        self._required.append((now, replicas))

    def desired(self, now: float, current: int, autoscaling: Autoscaling) -> int:
        """Return the number of replicas to scale to.

        A history that is shorter than a window, as after a start of the gateway, decides nothing:
        it may be without the load that the present replicas are for.
        """
        whole = now - self._since >= _WINDOW_SECONDS
        least = self.recommended if whole else autoscaling.min_replicas
        if current < least:
            return least
        seconds = autoscaling.stabilization_seconds
        if now - self._since < max(seconds, _WINDOW_SECONDS):
            return current
        while len(self._required) > 1 and now - self._required[0][0] > seconds:
            self._required.popleft()
        return min(current, self._required[0][1])
