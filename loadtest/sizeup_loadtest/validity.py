"""Whether a run's figures can be trusted. Pure."""

from collections.abc import Sequence

from sizeup_loadtest.config import Limits
from sizeup_loadtest.results import Lag, Validity


def judge(
    limits: Limits,
    *,
    send: Lag | None,
    loop: Lag | None,
    errors: int,
    sent: int,
    unsent: int,
    searched: int = 0,
    search_send: Lag | None = None,
    warnings: Sequence[str] = (),
) -> Validity:
    """Name every limit that was passed; one is enough to make a run invalid.

    `searched` requests, of a search for capacity, overload a server on purpose: their errors are
    the search's result, and neither among `errors` nor among `sent`. Late sends of the search
    (`search_send`) make its own loads look worse than they are, and no other figure.
    """
    share = errors / sent if sent else 0.0
    reasons = [
        *_late("requests were sent", send, limits.max_send_lag_seconds),
        *_late("the client's event loop woke", loop, limits.max_loop_lag_seconds),
    ]
    if share > limits.max_error_share:
        reasons.append(f"{errors} of {sent} requests failed (limit {limits.max_error_share:.0%})")
    if not sent + searched:
        reasons.append("no request was sent")
    told = [
        *warnings,
        *_late(
            "in the search for capacity, requests were sent",
            search_send,
            limits.max_send_lag_seconds,
        ),
    ]
    if unsent:
        told.append(f"{unsent} planned requests were not sent: their time was over")
    return Validity(
        valid=not reasons,
        reasons=tuple(reasons),
        warnings=tuple(told),
        send_lag=send,
        loop_lag=loop,
        error_share=share,
    )


def _late(what: str, lag: Lag | None, limit: float) -> list[str]:
    if lag is None or lag.p99 <= limit:
        return []
    return [f"{what} {lag.p99 * 1000:.1f} ms late at p99 (limit {limit * 1000:.0f} ms)"]
