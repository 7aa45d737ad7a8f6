// The AI SDK (package ai) with @ai-sdk/openai, which uses the Responses API.
import { createOpenAI } from "@ai-sdk/openai";

import { checkProvider } from "./ai_sdk.mjs";
import * as q from "./questions.mjs";

checkProvider(createOpenAI({ baseURL: `${q.URL}/v1`, apiKey: "none" }), {
  forced: { toolChoice: "required" },
});
