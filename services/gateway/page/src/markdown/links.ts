/** Which addresses of an answer become links. */

const SCHEMES = new Set(["http:", "https:", "mailto:"]);

/** The address in full; null for scripts, files, and paths, which would lead into this gateway. */
export function safeLink(address: string): string | null {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  return SCHEMES.has(url.protocol) ? url.href : null;
}
