/** A share as the length of a bar, at most 1; the number stands beside it. */
export function Bar({ share, least = 0 }: { share: number; least?: number }) {
  return (
    <span class="bar" aria-hidden="true">
      <span style={{ width: `${Math.max(least, Math.min(1, share)) * 100}%` }} />
    </span>
  );
}
