"""The error object of each dialect, for the OpenAPI document."""

from pydantic import BaseModel


class OllamaErrorResponse(BaseModel):
    """Error of Ollama's API: a response body, or the last line of a stream."""

    error: str


class OpenAIError(BaseModel):
    """Details of an error."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorResponse(BaseModel):
    """Error of OpenAI's API: a response body, or the last event of a stream before [DONE]."""

    error: OpenAIError
