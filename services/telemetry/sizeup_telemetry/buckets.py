"""Histogram buckets in seconds, equal in every process so that queries can aggregate them."""

TIME_TO_FIRST_TOKEN_SECONDS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
)  # fmt: skip
"""From a toy model's milliseconds to a cold 72B's minutes."""

QUEUE_SECONDS = (
    1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 180.0, 300.0, 450.0, 600.0, 900.0, 1200.0, 1800.0,
    2700.0, 3600.0,
)  # fmt: skip
"""Up to the hour a 72B may take to load from a network volume: quantiles saturate at the last
bucket, so an alert on ten minutes needs buckets beyond it."""

INTER_TOKEN_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5,
)  # fmt: skip
"""Densest around 10 to 100 ms, where users notice the difference between sizes."""

END_TO_END_SECONDS = (
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0, 1800.0,
)  # fmt: skip
"""Up to the half hour a long response of a large model may take."""

BATCH_SIZE = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Sequences in one step."""
