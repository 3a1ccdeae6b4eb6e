/** What the overview can draw of events: each with its place in an `EventResult`. */

import type { Aggregates, Columns, Value } from "./results";

/** A value; undefined if the answer is that of another measure. */
type Total = Value | undefined;

export interface Measure {
  title: string;
  /** Aggregate to order lists by. */
  aggregate: string;
  /** Aggregates that it needs, by the names of the variables that select them. */
  needs: readonly ("count" | "users" | "sessions")[];
  total: (aggregates: Aggregates) => Total;
  column: (columns: Columns) => readonly Value[];
}

function aggregate(name: string): Pick<Measure, "total" | "column"> {
  return { total: (aggregates) => aggregates[name], column: (columns) => columns[name] ?? [] };
}

function ratio(value: Total, divisor: Total): Total {
  if (value === undefined || divisor === undefined) {
    return undefined;
  }
  return divisor && value !== null ? value / divisor : null;
}

export const MEASURES: Readonly<Record<string, Measure>> = {
  users: { title: "Unique users", aggregate: "UNIQUE_USERS", needs: ["users"], ...aggregate("uniqueUsers") },
  sessions: { title: "Sessions", aggregate: "UNIQUE_SESSIONS", needs: ["sessions"], ...aggregate("uniqueSessions") },
  events: { title: "Events", aggregate: "COUNT", needs: ["count"], ...aggregate("count") },
  depth: {
    title: "Events per session",
    aggregate: "COUNT",
    needs: ["count", "sessions"],
    total: ({ count, uniqueSessions }) => ratio(count, uniqueSessions),
    column: ({ count = [], uniqueSessions = [] }) => count.map((value, index) => ratio(value, uniqueSessions[index]) ?? null),
  },
};
export const DEFAULT_MEASURE = MEASURES["events"]!;
