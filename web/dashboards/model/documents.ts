/** The documents of the pages, with the types of their variables and of their data. */

import arrival from "../documents/arrival.graphql?raw";
import catalogue from "../documents/catalogue.graphql?raw";
import events from "../documents/events.graphql?raw";
import groups from "../documents/groups.graphql?raw";
import now from "../documents/now.graphql?raw";
import overview from "../documents/overview.graphql?raw";
import type { EventFilter } from "./filters";
import type { RangeInput } from "./ranges";
import type { GroupsResult, SeriesResult } from "./results";

declare const data: unique symbol;
declare const variables: unique symbol;

/** A document that knows the types of its variables and of its data. */
export interface Document<Data, Variables> {
  readonly text: string;
  readonly [data]?: Data;
  readonly [variables]?: Variables;
}

export interface EventType {
  name: string;
  count: number;
  properties: readonly { key: string; type: string; coverage: number }[];
}

export interface Counts {
  eventCount: number;
  metricCount: number;
}

export interface CatalogueData {
  viewer: { project: string; scopes: readonly string[] } | null;
  overview: Counts;
  eventTypes: readonly EventType[] | null;
}

export type GroupBy = { property: string } | { field: "NAME" | "USER_ID" | "SESSION_ID" };
export type CompareInput = { mode: string } | null;

interface Question {
  range: RangeInput;
  timezone: string;
  compare: CompareInput;
  where: EventFilter | null;
  orderBy: { aggregate: string };
  count: boolean;
  users: boolean;
  sessions: boolean;
}

export const LISTS = [0, 1, 2, 3, 4, 5] as const;
type ListIndex = (typeof LISTS)[number];

export type OverviewVariables = Question & { granularity: string; maxPoints: number } & {
  [Name in `list${ListIndex}`]?: readonly GroupBy[];
} & { [Name in `with${ListIndex}`]: boolean };

export type OverviewData = { trend: SeriesResult } & {
  [Name in `list${ListIndex}`]?: GroupsResult;
};

export type GroupsVariables = Question & {
  groupBy: readonly GroupBy[];
  search: string | null;
  offset: number;
};

export interface EventRow {
  id: string;
  name: string;
  time: string;
  userId: string | null;
  sessionId: string | null;
  properties: Readonly<Record<string, unknown>>;
}

export interface EventsData {
  events: {
    nodes: readonly EventRow[];
    pageInfo: { hasNextPage: boolean; endCursor: string | null };
    totalCount: number | null;
  };
}

export type EventsVariables = Pick<Question, "range" | "timezone" | "where"> & { after: string | null };

export const CATALOGUE: Document<CatalogueData, Record<string, never>> = { text: catalogue };
export const ARRIVAL: Document<{ overview: Counts }, Record<string, never>> = { text: arrival };
export const NOW: Document<{ now: GroupsResult }, Record<string, never>> = { text: now };
export const OVERVIEW: Document<OverviewData, OverviewVariables> = { text: overview };
export const EVENTS: Document<EventsData, EventsVariables> = { text: events };
export const GROUPS: Document<{ groups: GroupsResult }, GroupsVariables> = { text: groups };
