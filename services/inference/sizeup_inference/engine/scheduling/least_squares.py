"""Recursive least squares with two coefficients and exponential forgetting. Pure."""

from dataclasses import dataclass

Pair = tuple[float, float]

_FORGETTING = 0.95
"""Weight of a sample in the next one's fit: it follows a change within some 20 samples."""

_MIN_INDEPENDENCE = 1e-3
"""Of 1 - cos^2 of the two features: below it they are collinear, and one coefficient is fitted."""


@dataclass(slots=True)
class LeastSquares:
    """Fits y = a * x1 + b * x2 with a and b not negative."""

    count: int = 0
    """Samples so far."""
    _xx: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Weighted sums of x1 * x1, x1 * x2 and x2 * x2."""
    _xy: Pair = (0.0, 0.0)
    coefficients: Pair = (0.0, 0.0)

    def add(self, x: Pair, y: float) -> None:
        (x1, x2), (s11, s12, s22), (t1, t2) = x, self._xx, self._xy
        keep = _FORGETTING
        self._xx = (keep * s11 + x1 * x1, keep * s12 + x1 * x2, keep * s22 + x2 * x2)
        self._xy = (keep * t1 + x1 * y, keep * t2 + x2 * y)
        self.count += 1
        self.coefficients = self._solve()

    def predict(self, x: Pair) -> float:
        return self.coefficients[0] * x[0] + self.coefficients[1] * x[1]

    def _solve(self) -> Pair:
        (s11, s12, s22), (t1, t2) = self._xx, self._xy
        determinant = s11 * s22 - s12 * s12
        if determinant > _MIN_INDEPENDENCE * s11 * s22:
            a, b = (t1 * s22 - t2 * s12) / determinant, (t2 * s11 - t1 * s12) / determinant
            if a < 0:
                return 0.0, t2 / s22
            if b >= 0:
                return a, b
        return (t1 / s11 if s11 else 0.0), 0.0
