// The AI SDK (package ai) with @ai-sdk/openai-compatible.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";

import { checkProvider } from "./ai_sdk.mjs";
import * as q from "./questions.mjs";

checkProvider(
  createOpenAICompatible({
    name: "sizeup",
    baseURL: `${q.URL}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  }),
  {
    forced: { toolChoice: "required" },
    stopped: (stop) => ({ stopSequences: [stop] }),
    seeded: (seed, maxOutputTokens) => ({ seed, maxOutputTokens }),
  },
);
