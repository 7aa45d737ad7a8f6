"""The error object of each dialect, for the OpenAPI document."""

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
