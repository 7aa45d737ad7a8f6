/** How many boxes stand in a row: six are three and three, not four and two. */
export function perRow(count: number, most: number): number {
  const rows = Math.max(1, Math.ceil(count / most));
  return Math.max(1, Math.ceil(count / rows));
}
