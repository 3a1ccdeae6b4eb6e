/** Numbers, times and changes as people read them. */

import type { Value } from "./results";

const LOCALE = "en-GB";
const COMPACT = new Intl.NumberFormat(LOCALE, { notation: "compact", maximumFractionDigits: 1 });
const FULL = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 2 });
const SMALL = new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 3 });
const SCIENTIFIC = new Intl.NumberFormat(LOCALE, { notation: "scientific", maximumSignificantDigits: 3 });
const PERCENT = new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 1 });
const WHOLE_PERCENT = new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 0 });
const HUGE = 1e15;
const TINY = 1e-4;
const BYTES = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const DURATIONS: readonly [string, number][] = [["ms", 1], ["s", 1000], ["min", 60_000], ["h", 3_600_000], ["d", 86_400_000]];
const MISSING = "–";

function plain(value: number): string {
  const size = Math.abs(value);
  if (size >= HUGE || (size > 0 && size < TINY)) {
    return SCIENTIFIC.format(value).toLowerCase();
  }
  return size < 1 ? SMALL.format(value) : size < 10_000 ? FULL.format(value) : COMPACT.format(value);
}

function scaled(value: number, steps: readonly (readonly [string, number])[]): string {
  const size = Math.abs(value);
  const [unit, factor] = steps.findLast(([, factor]) => size >= factor) ?? steps[0]!;
  return `${SMALL.format(value / factor)} ${unit}`;
}

/** Return a number in few characters, in its unit. */
export function short(value: Value | undefined, unit: string | null = null): string {
  if (value === null || value === undefined) {
    return MISSING;
  }
  switch (unit) {
    case null:
    case "":
      return plain(value);
    case "bytes":
    case "B":
      return scaled(value, BYTES.map((name, index) => [name, 1000 ** index] as const));
    case "ms":
      return scaled(value, DURATIONS);
    case "s":
    case "seconds":
      return scaled(value * 1000, DURATIONS);
    case "%":
      return `${plain(value)} %`;
    default:
      return `${plain(value)} ${unit}`;
  }
}

/** Return a number with its digits, for tables and tooltips. */
export function full(value: Value | undefined): string {
  if (value === null || value === undefined) {
    return MISSING;
  }
  const size = Math.abs(value);
  return size >= HUGE || (size > 0 && size < 0.01) ? plain(value) : FULL.format(value);
}

export function percent(ratio: number): string {
  if (ratio > 0 && ratio < 0.001) {
    return "<0.1 %";
  }
  return (ratio < 0.1 ? PERCENT : WHOLE_PERCENT).format(ratio).replace("%", " %");
}

export interface Change {
  direction: "up" | "down" | "same";
  text: string;
}

/** Return the change between two values; null if there is nothing to compare. */
export function changeOf(value: Value | undefined, previous: Value | undefined): Change | null {
  if (value === null || value === undefined || previous === null || previous === undefined) {
    return null;
  }
  if (previous === 0) {
    return value === 0 ? { direction: "same", text: "0 %" } : { direction: "up", text: "new" };
  }
  const ratio = (value - previous) / Math.abs(previous);
  const size = Math.abs(ratio);
  if (size < 0.0005) {
    return { direction: "same", text: "0 %" };
  }
  const direction = ratio > 0 ? "up" : "down";
  return { direction, text: size >= 10 ? `${plain(size + 1)}×` : percent(size) };
}

type DateOptions = Intl.DateTimeFormatOptions;
const formats = new Map<string, Intl.DateTimeFormat>();

function date(time: number | string, zone: string, options: DateOptions): string {
  const key = zone + JSON.stringify(options);
  const format = formats.get(key) ?? new Intl.DateTimeFormat(LOCALE, { timeZone: zone, ...options });
  formats.set(key, format); // to make one takes 0.05 ms, and a table has hundreds of cells
  return format.format(typeof time === "string" ? Date.parse(time) : time);
}

const CLOCK: DateOptions = { hour: "2-digit", minute: "2-digit" };
const DAY: DateOptions = { day: "numeric", month: "short" };
const DAY_SECONDS = 23 * 3600;
const MONTH_SECONDS = 28 * 86_400;

/** Return the name of a bucket. */
export function bucketName(time: number | string, zone: string, seconds: number): string {
  if (seconds >= MONTH_SECONDS) {
    return date(time, zone, { month: "long", year: "numeric" });
  }
  if (seconds >= DAY_SECONDS) {
    return date(time, zone, { weekday: "short", ...DAY, year: "numeric" });
  }
  const clock = seconds < 60 ? { ...CLOCK, second: "2-digit" as const } : CLOCK;
  return date(time, zone, { weekday: "short", ...DAY, ...clock });
}

/** Return the label of a place on a time axis whose labels are `step` seconds apart. */
export function axisLabel(time: number, zone: string, step: number): string {
  if (step >= MONTH_SECONDS) {
    return date(time, zone, { month: "short", year: "numeric" });
  }
  const clock = date(time, zone, CLOCK);
  if (step >= DAY_SECONDS || clock === "00:00") {
    return date(time, zone, DAY);
  }
  return step < 60 ? date(time, zone, { ...CLOCK, second: "2-digit" }) : clock;
}

/** Return the time of an event, to the second. */
export function eventTime(time: string, zone: string): string {
  return date(time, zone, { ...DAY, ...CLOCK, second: "2-digit" });
}

/** Return a range of days, or of times if it is shorter than two days. */
export function rangeName(from: string, to: string, zone: string): string {
  const length = Date.parse(to) - Date.parse(from);
  if (length <= 86_400_000 && date(from, zone, DAY) === date(Date.parse(to) - 1, zone, DAY)) {
    return `${date(from, zone, { ...DAY, ...CLOCK })} – ${date(to, zone, CLOCK)}`;
  }
  const options = length < 2 * 86_400_000 ? { ...DAY, ...CLOCK } : { ...DAY, year: "numeric" as const };
  const last = length < 2 * 86_400_000 ? Date.parse(to) : Date.parse(to) - 1;
  return `${date(from, zone, options)} – ${date(last, zone, options)}`;
}

let regions: Intl.DisplayNames | undefined;

/** Return the value of a group for people: country codes get the names of countries. */
export function groupName(value: string | null, title: string): string {
  if (value === null) {
    return "(not set)";
  }
  if (value === "") {
    return "(empty)";
  }
  if (/^country/i.test(title) && /^[A-Z]{2}$/.test(value)) {
    regions ??= new Intl.DisplayNames("en", { type: "region" });
    return regions.of(value) ?? value;
  }
  return value;
}
