"""OpenTelemetry's own variables, as far as they decide whether and what is traced.

The SDK reads the others: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER,
OTEL_PROPAGATORS, OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_* and so on. A platform may set all of them
in every pod, so what is not supported is an error only where requests are to be traced.
"""

import re
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_EXPORTERS = ("otlp", "none")
_PROTOCOL = "http/protobuf"


class TracingSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="OTEL_", env_ignore_empty=True, frozen=True)

    traces_exporter: str | None = Field(
        None,
        description="`otlp` traces requests, `none` does not; by default they are traced if an "
        "endpoint is set",
    )
    exporter_otlp_endpoint: str | None = Field(
        None,
        description="base URL of the collector (OTLP over HTTP), which traces requests unless the "
        "exporter is none; default: http://localhost:4318",
    )
    exporter_otlp_traces_endpoint: str | None = Field(
        None, description="whole URL of the collector for traces instead"
    )
    exporter_otlp_protocol: str | None = Field(
        None, description=f"`{_PROTOCOL}`, the only protocol of the exporter, and its default"
    )
    exporter_otlp_traces_protocol: str | None = Field(
        None, description="the same for traces, which precedes it"
    )
    sdk_disabled: bool = Field(False, description="true traces nothing, whatever the others say")
    python_excluded_urls: str = Field(
        "",
        description="comma-separated regular expressions of URLs that are not traced, besides "
        "health, metrics and pages",
    )

    @model_validator(mode="after")
    def _is_supported(self) -> Self:
        if self._exporter == "none" or self.sdk_disabled:
            return self
        if self._exporter not in _EXPORTERS:
            raise ValueError(f"OTEL_TRACES_EXPORTER must be one of {', '.join(_EXPORTERS)}")
        protocol = self.exporter_otlp_traces_protocol or self.exporter_otlp_protocol
        if protocol not in (None, _PROTOCOL):
            raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL must be {_PROTOCOL}")
        for one in self.excluded_urls:
            try:
                re.compile(one)
            except re.error as error:
                raise ValueError(f"OTEL_PYTHON_EXCLUDED_URLS: {one!r}: {error}") from error
        return self

    @property
    def enabled(self) -> bool:
        return self._exporter == "otlp" and not self.sdk_disabled

    @property
    def _exporter(self) -> str:
        endpoint = self.exporter_otlp_endpoint or self.exporter_otlp_traces_endpoint
        return self.traces_exporter or ("otlp" if endpoint else "none")

    @property
    def excluded_urls(self) -> list[str]:
        return [one.strip() for one in self.python_excluded_urls.split(",") if one.strip()]
