// The AI SDK (package ai) with ollama-ai-provider-v2.
import { createOllama } from "ollama-ai-provider-v2";

import { checkProvider } from "./ai_sdk.mjs";
import * as q from "./questions.mjs";

const options = (ollama) => ({ providerOptions: { ollama: { options: ollama } } });

checkProvider(createOllama({ baseURL: `${q.URL}/api` }), {
  forced: {}, // Ollama's API has no tool_choice
  stopped: (stop) => options({ stop: [stop], temperature: 0 }),
  seeded: (seed, num_predict) => options({ seed, num_predict }),
});
