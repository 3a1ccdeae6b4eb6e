/** Keys for what the mouse does. They are one letter each, and rest while a person types. */

import { change, view } from "../model/address";
import { COMPARISONS, intervalSeconds, PRESETS } from "../model/ranges";
import type { TimeRange } from "../model/results";
import { MEASURES } from "../model/measures";
import { data, refresh } from "../model/state";
import { nextTheme } from "../model/theme";
import { isHelpOpen, toggleFullScreen } from "./window";

export interface Shortcut {
  keys: readonly string[];
  title: string;
  run: (key: string) => void;
}

/** Return the range of the same length directly before or after, as instants; null: it is ahead of now. */
function neighbour(range: TimeRange, step: -1 | 1, unit = intervalSeconds(range.granularity)): string | null {
  const from = Date.parse(range.from);
  const length = Math.ceil((Date.parse(range.to) - from) / 1000 / unit) * unit * 1000;
  const start = from + step * length;
  return start > Date.now() ? null : `${new Date(start).toISOString()}..${new Date(start + length).toISOString()}`;
}

function moveRange(step: -1 | 1): void {
  const range = data.value && neighbour(data.value.trend.meta.range, step);
  if (range) {
    change({ range });
  }
}

function toggleComparison(): void {
  const isOff = COMPARISONS[view.value.compare]?.mode === null;
  change({ compare: isOff ? "previous" : "none" });
}

function escape(): void {
  if (view.value.isKiosk) {
    change({ isKiosk: false });
  } else if (view.value.filters.length) {
    change({ filters: [] });
  }
}

const NAMES = Object.keys(MEASURES);

const RANGES: readonly Shortcut[] = Object.entries(PRESETS).flatMap(([range, { title, key }]) =>
  key ? [{ keys: [key], title, run: () => change({ range, granularity: "AUTO" }) }] : [],
);

export const SHORTCUTS: readonly { title: string; shortcuts: readonly Shortcut[] }[] = [
  {
    title: "Range",
    shortcuts: [
      ...RANGES,
      { keys: ["c"], title: "Choose days", run: () => dispatchEvent(new Event("open-range")) },
      { keys: ["ArrowLeft"], title: "Period before", run: () => moveRange(-1) },
      { keys: ["ArrowRight"], title: "Period after", run: () => moveRange(1) },
    ],
  },
  {
    title: "View",
    shortcuts: [
      { keys: NAMES.map((_, index) => String(index + 1)), title: "Draw a figure", run: (key) => change({ measure: NAMES[Number(key) - 1]! }) },
      { keys: ["x"], title: "Compare, or not", run: toggleComparison },
      { keys: ["/"], title: "Add a filter", run: () => dispatchEvent(new Event("open-filter")) },
      { keys: ["Escape"], title: "Clear the filters", run: escape },
      { keys: ["r"], title: "Refresh", run: refresh },
      { keys: ["l"], title: "Light, dark, system", run: nextTheme },
      { keys: ["f"], title: "Full screen", run: toggleFullScreen },
      { keys: ["k"], title: "Kiosk mode", run: () => change({ isKiosk: !view.value.isKiosk }) },
      { keys: ["?"], title: "This list", run: () => (isHelpOpen.value = true) },
    ],
  },
];

const BY_KEY = new Map(SHORTCUTS.flatMap(({ shortcuts }) => shortcuts).flatMap((shortcut) => shortcut.keys.map((key) => [key, shortcut] as const)));

/** Run the shortcut of a key, if it has one. */
export function press(event: KeyboardEvent): void {
  const shortcut = BY_KEY.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
  if (shortcut) {
    event.preventDefault();
    shortcut.run(event.key);
  }
}
