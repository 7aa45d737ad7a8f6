/** Icons are ornaments: the name of a button is its text or label. */

const PATHS = {
  add: "M12 5v14M5 12h14",
  check: "M5 12.5l4.5 4.5L19 7.5",
  circle: "M12 4.5a7.5 7.5 0 1 0 0 15a7.5 7.5 0 0 0 0-15",
  clock: "M12 7v5l3.5 2M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18",
  close: "M6 6l12 12M18 6L6 18",
  dark: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5",
  down: "M6 9.5l6 6l6-6",
  file: "M12 4v11m-5-4.5l5 5l5-5M5 20h14",
  keyboard: "M3 6.5h18v11H3zM7 10.5h.01M11 10.5h.01M15 10.5h.01M8 14h8",
  light: "M12 8a4 4 0 1 0 0 8a4 4 0 0 0 0-8M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7L12 17",
  pen: "M5 19l1-4L16.5 4.5l3 3L9 18z",
  repeat: "M4 12a8 8 0 0 1 13.7-5.6L20 8.5M20 4v4.5h-4.5M20 12a8 8 0 0 1-13.7 5.6L4 15.5M4 20v-4.5h4.5",
  send: "M12 19V5M6 11l6-6l6 6",
  stop: "M8.5 6.5h7a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-7a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2",
  system: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18M12 3v18M12 7h6.5M12 11h8.8M12 15h8",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class={name === "stop" ? "icon solid" : "icon"} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** Three sizes, ascending. */
export function Mark() {
  return (
    <svg class="mark" width="22" height="22" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect fill="#3a9bbf" x="3" y="19" width="7" height="9" rx="2" />
      <rect fill="#4f63c6" x="12.5" y="12" width="7" height="16" rx="2" />
      <rect class="large" x="22" y="4" width="7" height="24" rx="2" />
    </svg>
  );
}
