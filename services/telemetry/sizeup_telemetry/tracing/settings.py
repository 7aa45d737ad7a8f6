"""OpenTelemetry's own variables, as far as they decide whether and what is traced.

The SDK reads the others: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER,
OTEL_PROPAGATORS, OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_* and so on.
"""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Protocol = Literal["http/protobuf"] | None


class TracingSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="OTEL_", env_ignore_empty=True, frozen=True)

    traces_exporter: Literal["otlp", "none"] | None = Field(
        None, description="otlp traces requests; by default they are traced if an endpoint is set"
    )
    exporter_otlp_endpoint: str | None = Field(
        None,
        description="base URL of the collector (OTLP over HTTP), which traces requests unless the "
        "exporter is none; default: http://localhost:4318",
    )
    exporter_otlp_traces_endpoint: str | None = Field(
        None, description="whole URL of the collector for traces instead"
    )
    exporter_otlp_protocol: Protocol = Field(
        None, description="the only protocol of the exporter, and its default"
    )
    exporter_otlp_traces_protocol: Protocol = Field(None, description="the same for traces")
    sdk_disabled: bool = Field(False, description="true traces nothing, whatever the others say")
    python_excluded_urls: str = Field(
        "",
        description="comma-separated regular expressions of URLs that are not traced, besides "
        "health, metrics and pages",
    )

    @property
    def enabled(self) -> bool:
        endpoint = self.exporter_otlp_endpoint or self.exporter_otlp_traces_endpoint
        exporter = self.traces_exporter or ("otlp" if endpoint else "none")
        return exporter == "otlp" and not self.sdk_disabled

    @property
    def excluded_urls(self) -> list[str]:
        return [one.strip() for one in self.python_excluded_urls.split(",") if one.strip()]
