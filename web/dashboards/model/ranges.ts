/** Time ranges, comparisons and intervals: their words, and the inputs of the API. */

import type { TimeRange } from "./results";

export type RangeInput =
  | { preset: string }
  | { dates: { from: string; to: string } }
  | { between: { from: string; to: string } };

interface Preset {
  title: string;
  preset: string;
  key?: string;
}

/** Named ranges by their name in the address, with their key on the keyboard. */
export const PRESETS: Readonly<Record<string, Preset>> = {
  today: { title: "Today", preset: "TODAY", key: "d" },
  yesterday: { title: "Yesterday", preset: "YESTERDAY", key: "e" },
  "24h": { title: "Last 24 hours", preset: "LAST_24_HOURS", key: "h" },
  "7d": { title: "Last 7 days", preset: "LAST_7_DAYS", key: "w" },
  "30d": { title: "Last 30 days", preset: "LAST_30_DAYS", key: "t" },
  "90d": { title: "Last 90 days", preset: "LAST_90_DAYS", key: "n" },
  month: { title: "Month to date", preset: "THIS_MONTH", key: "m" },
  lastmonth: { title: "Last month", preset: "LAST_MONTH", key: "p" },
  year: { title: "Year to date", preset: "YEAR_TO_DATE", key: "y" },
  all: { title: "All time", preset: "ALL_TIME", key: "a" },
};

export const COMPARISONS: Readonly<Record<string, { title: string; mode: string | null }>> = {
  previous: { title: "Previous period", mode: "PREVIOUS_PERIOD" },
  weekday: { title: "Previous, same weekdays", mode: "PREVIOUS_PERIOD_MATCH_WEEKDAY" },
  month: { title: "A month earlier", mode: "PREVIOUS_MONTH" },
  year: { title: "A year earlier", mode: "YEAR_OVER_YEAR" },
  none: { title: "No comparison", mode: null },
};

const SECOND = 1;
const MINUTE = 60;
const HOUR = 3600;
const DAY = 24 * HOUR;

/** Intervals, with their title and their shortest length in seconds. */
export const INTERVALS: Readonly<Record<string, { title: string; seconds: number }>> = {
  SECOND: { title: "1 second", seconds: SECOND },
  TEN_SECONDS: { title: "10 seconds", seconds: 10 },
  THIRTY_SECONDS: { title: "30 seconds", seconds: 30 },
  MINUTE: { title: "1 minute", seconds: MINUTE },
  FIVE_MINUTES: { title: "5 minutes", seconds: 5 * MINUTE },
  FIFTEEN_MINUTES: { title: "15 minutes", seconds: 15 * MINUTE },
  THIRTY_MINUTES: { title: "30 minutes", seconds: 30 * MINUTE },
  HOUR: { title: "1 hour", seconds: HOUR },
  TWO_HOURS: { title: "2 hours", seconds: 2 * HOUR },
  SIX_HOURS: { title: "6 hours", seconds: 6 * HOUR },
  TWELVE_HOURS: { title: "12 hours", seconds: 12 * HOUR },
  DAY: { title: "1 day", seconds: 23 * HOUR },
  WEEK: { title: "1 week", seconds: 167 * HOUR },
  MONTH: { title: "1 month", seconds: 28 * DAY },
  QUARTER: { title: "1 quarter", seconds: 90 * DAY },
  YEAR: { title: "1 year", seconds: 365 * DAY },
};

const DATE = /^\d{4}-\d\d-\d\d$/;

/** Return the two ends of a range of days or instants; null for a named range. */
export function endsOf(range: string): [string, string] | null {
  const [from, to, ...rest] = range.split("..");
  return from && to && !rest.length ? [from, to] : null;
}

export function isZoomed(range: string): boolean {
  return range.includes("T");
}

export function rangeInput(range: string): RangeInput {
  const ends = endsOf(range);
  if (!ends) {
    return { preset: (PRESETS[range] ?? PRESETS["7d"]!).preset };
  }
  const [from, to] = ends;
  return DATE.test(from) && DATE.test(to) ? { dates: { from, to } } : { between: { from, to } };
}

export function compareInput(compare: string, range: string): { mode: string } | null {
  const mode = range === "all" ? null : (COMPARISONS[compare]?.mode ?? null);
  return mode === null ? null : { mode };
}

/** Days of the named ranges that are at least two days long. */
const DAYS: Readonly<Record<string, number>> = { "7d": 7, "30d": 30, "90d": 90, month: 31, lastmonth: 31, year: 366, all: 366 };
/** Up to this number of days, buckets are hours. */
const MOST_DAYS_IN_HOURS = 8;

/** Return the number of buckets of a chart that chooses its interval: whole days, hours, or parts of an hour. */
export function mostBuckets(range: string): number {
  const ends = endsOf(range)?.map((end) => Date.parse(end));
  const days = ends ? (ends[1]! - ends[0]!) / 1000 / (24 * HOUR) + (isZoomed(range) ? 0 : 1) : (DAYS[range] ?? 1);
  if (!(days > 1.5)) {
    return 96;
  }
  return days > MOST_DAYS_IN_HOURS ? Math.min(Math.ceil(days), 366) : Math.ceil(days * 24) + 1;
}

export function intervalSeconds(granularity: string): number {
  return INTERVALS[granularity]?.seconds ?? HOUR;
}

/** Say whether the last bucket has not ended, or lies only partly in the range. */
export function isUnfinished(times: readonly string[], range: TimeRange): boolean {
  const last = times.at(-1);
  const end = Math.min(Date.parse(range.to), Date.now());
  return last !== undefined && Date.parse(last) + intervalSeconds(range.granularity) * 1000 > end;
}
