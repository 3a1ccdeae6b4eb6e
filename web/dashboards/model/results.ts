/** The results of the API, as the documents here and the panels of stored dashboards select them.
 *
 * The names are those of the schema (`EventResult`, `MetricResult`): one component draws both.
 */

export type Value = number | null;
/** Aggregates by name, or by the alias of the selection. */
export type Aggregates = Record<string, Value>;
export type Columns = Record<string, readonly Value[]>;

export interface TimeRange {
  from: string;
  to: string;
  timezone: string;
  granularity: string;
}

export interface Warning {
  code: string;
  message: string;
  field: string | null;
  suggestions: readonly string[];
}

export interface GroupKey {
  name: string;
  value: string | null;
  type: string | null;
  filter: unknown;
}

export interface Group {
  label: string;
  isOther: boolean;
  key: readonly GroupKey[];
  total: Aggregates;
  /** Null without a comparison; missing if it is not selected. */
  previousTotal?: Aggregates | null;
}

export interface Series extends Group {
  columns: Columns;
  previousColumns: Columns | null;
}

export interface ResultMeta {
  range: TimeRange;
  comparisonRange: TimeRange | null;
  totalGroups: number;
  elapsedMs: number;
  rowsRead: number;
  freshAsOf: string;
  warnings: readonly Warning[];
}

/** An `EventResult` or a `MetricResult` with its series. */
export interface SeriesResult {
  meta: ResultMeta;
  times: readonly string[];
  previousTimes: readonly string[] | null;
  series: readonly Series[];
}

/** An `EventResult` or a `MetricResult` without buckets: totals of groups. */
export interface GroupsResult {
  meta: { totalGroups: number };
  series: readonly Group[];
}
