/** Colours of the sizes: one ramp whose contrast grows with size, as in the report of the load test. */

type Rgb = [number, number, number];
const LIGHT: [Rgb, Rgb, Rgb] = [[58, 155, 191], [79, 99, 198], [59, 31, 110]];
const DARK: [Rgb, Rgb, Rgb] = [[74, 143, 173], [134, 148, 245], [236, 212, 255]];

function between(anchors: [Rgb, Rgb, Rgb], share: number): string {
  const [low, middle, high] = anchors;
  const [from, to] = share < 0.5 ? [low, middle] : [middle, high];
  const part = share < 0.5 ? share * 2 : share * 2 - 1;
  const [red, green, blue] = from.map((value, i) => Math.round(value + ((to[i] ?? 0) - value) * part));
  return `rgb(${red} ${green} ${blue})`;
}

/** Custom properties of an element of class `sized`; `rank` counts from the smallest of `count`. */
export function sizeColor(rank: number, count: number): Record<string, string> {
  const share = count > 1 ? rank / (count - 1) : 0.5;
  return { "--size-light": between(LIGHT, share), "--size-dark": between(DARK, share) };
}
