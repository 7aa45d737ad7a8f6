/** Questions that small sizes often answer wrongly. The toy models know a few tasks only. */

import type { Language } from "./language";

const GENERAL: Record<Language, string[]> = {
  en: [
    "What is 17 × 24? Reply with the number only.",
    "A bat and a ball cost $1.10. The bat costs $1.00 more than the ball. What does the ball cost?",
    "Write a Python function that returns the n-th Fibonacci number, with a docstring.",
  ],
  "zh-CN": [
    "17 × 24 等于多少？只回答数字。",
    "球拍和球共 1.10 元，球拍比球贵 1.00 元。球多少钱？",
    "写一个 Python 函数，返回第 n 个斐波那契数，并附上文档字符串。",
  ],
};

const TOY: Record<Language, string[]> = {
  en: [
    "What is 47 + 385?",
    "Count from 3 to 9.",
    "Tom has a red ball. Ann has a blue cup. What does Ann have?",
  ],
  "zh-CN": ["47 加 385 等于多少？", "复述：山水火", "Count from 3 to 9."],
};

export function examples(models: string[], language: Language): string[] {
  const onlyToys = models.length > 0 && models.every((model) => model.startsWith("toy:"));
  return (onlyToys ? TOY : GENERAL)[language];
}
