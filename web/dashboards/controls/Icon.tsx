/** Icons, drawn in lines on a grid of 16. */

import type { JSX } from "preact";

const PATHS = {
  calendar: "M3 4h10v9H3zM3 7h10M6 2.5V5M10 2.5V5",
  check: "m3.5 8.5 3 3 6-7",
  chevron: "m4.5 6.5 3.5 3.5 3.5-3.5",
  close: "m4 4 8 8M12 4l-8 8",
  dark: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5Z",
  dots: "M8 3.5h.01M8 8h.01M8 12.5h.01",
  expand: "M6 3H3v3M10 3h3v3M6 13H3v-3M10 13h3v-3",
  filter: "M2.5 4h11M4.5 8h7M6.5 12h3",
  help: "M6 6.2a2 2 0 1 1 2.8 1.9c-.5.2-.8.6-.8 1.1v.3M8 12h.01",
  light: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6ZM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M12.6 3.4l-.7.7M4.1 11.9l-.7.7",
  plus: "M8 3.5v9M3.5 8h9",
  refresh: "M13 8a5 5 0 1 1-1.5-3.5L13 6M13 2.7V6H9.7",
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4ZM10.2 10.2l3.3 3.3",
  system: "M2.5 3.5h11v7.5h-11zM6 13.5h4",
  zoomOut: "M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4ZM10.2 10.2l3.3 3.3M5.3 7h3.4",
} as const;
export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
