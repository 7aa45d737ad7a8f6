// The AI SDK (package ai) with @ai-sdk/anthropic.
import { createAnthropic } from "@ai-sdk/anthropic";

import { checkProvider } from "./ai_sdk.mjs";
import * as q from "./questions.mjs";

checkProvider(createAnthropic({ baseURL: `${q.URL}/v1`, apiKey: "none" }), {
  forced: { toolChoice: "required" },
  embeds: false,
  stopped: (stop) => ({ stopSequences: [stop] }),
});
