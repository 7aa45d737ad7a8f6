"""The error object of each dialect, for the OpenAPI document."""

from typing import Literal

from sizeup_gateway.api.documentation import ResponseBody


class OllamaErrorResponse(ResponseBody):
    """Error of Ollama's API: a response body, or the last line of a stream."""

    error: str


class OpenAIError(ResponseBody):
    """Details of an error."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorResponse(ResponseBody):
    """Error of OpenAI's API: a response body, or the last event of a stream before [DONE]."""

    error: OpenAIError


class AnthropicError(ResponseBody):
    """Details of an error."""

    type: str
    message: str


class AnthropicErrorResponse(ResponseBody):
    """Error of Anthropic's API: a response body, or the last event of a stream."""

    type: Literal["error"]
    error: AnthropicError
    request_id: str
