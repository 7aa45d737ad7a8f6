/** The common time scale of the bars: it grows in steps, so that the bars do not shrink at every frame. */

const STEPS = [1, 1.5, 2, 3, 4, 6, 8, 10];

/** The end of a scale that holds `seconds`, at least 10 ms. */
export function scaleEnd(seconds: number): number {
  const wanted = Math.max(seconds, 0.01);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = STEPS.find((each) => each * power >= wanted * (1 - 1e-9)) ?? 10;
  return step * power;
}

/** Three to five evenly spaced marks from 0 to the end. */
export function ticks(end: number): number[] {
  const power = 10 ** Math.floor(Math.log10(end * (1 + 1e-9)));
  const lead = Math.round((end / power) * 10) / 10;
  const count = { 1: 4, 1.5: 3, 2: 4, 3: 3, 4: 4, 6: 3, 8: 4 }[lead] ?? 4;
  return Array.from({ length: count + 1 }, (_, index) => (end * index) / count);
}
