"""A server that forwards requests to a replica unread: the peer of `token_cpu.py`."""

import contextlib
import sys
from collections.abc import AsyncIterator

import aiohttp
import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import StreamingResponse

PATH = "/internal/v1/generate"


def create_app(replica: str) -> FastAPI:
    """Create the application; `replica` is the base URL."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            app.state.http = http
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post(PATH)
    async def forward(request: Request) -> StreamingResponse:
        body = await request.body()
        response = await request.app.state.http.post(replica + PATH, data=body)
        return StreamingResponse(response.content.iter_any(), response.status)

    return app


if __name__ == "__main__":
    port, replica = int(sys.argv[1]), sys.argv[2]
    uvicorn.run(
        create_app(replica), port=port, log_level="warning", access_log=False, loop="asyncio"
    )
