/** What the overview can draw of events: each with its place in an `EventResult`. */

import type { Aggregates, Columns, Value } from "./results";

export interface Measure {
  title: string;
  /** Aggregate to order lists by. */
  aggregate: string;
  total: (aggregates: Aggregates) => Value;
  column: (columns: Columns) => readonly Value[];
}

function aggregate(name: string): Pick<Measure, "total" | "column"> {
  return { total: (aggregates) => aggregates[name] ?? null, column: (columns) => columns[name] ?? [] };
}

function ratio(value: Value | undefined, divisor: Value | undefined): Value {
  return divisor && value !== null && value !== undefined ? value / divisor : null;
}

export const MEASURES: Readonly<Record<string, Measure>> = {
  users: { title: "Unique users", aggregate: "UNIQUE_USERS", ...aggregate("uniqueUsers") },
  sessions: { title: "Sessions", aggregate: "UNIQUE_SESSIONS", ...aggregate("uniqueSessions") },
  events: { title: "Events", aggregate: "COUNT", ...aggregate("count") },
  depth: {
    title: "Events per session",
    aggregate: "COUNT",
    total: ({ count, uniqueSessions }) => ratio(count, uniqueSessions),
    column: ({ count = [], uniqueSessions = [] }) => count.map((value, index) => ratio(value, uniqueSessions[index])),
  },
};
export const DEFAULT_MEASURE = MEASURES["events"]!;
