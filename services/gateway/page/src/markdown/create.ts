/** An element with these attributes and contents. Strings become text: nothing is parsed as HTML. */
export function create(
  name: string,
  attributes: Record<string, string> = {},
  ...contents: (Node | string)[]
): HTMLElement {
  const created = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) created.setAttribute(attribute, value);
  created.append(...contents);
  return created;
}
