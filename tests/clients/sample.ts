// A program that uses the generated types. `tsc --strict` holds it to what may be null or missing.
import type {
  EventPageQuery,
  EventPageQueryVariables,
  HealthQuery,
  MetricChartQuery,
  MetricNumbersQuery,
  OverviewQuery,
  RecordMetricsMutation,
} from "./generated/graphql.ts";

export const lastWeek: EventPageQueryVariables = { first: 10, range: { last: "P7D" } };
export const ofUser1: EventPageQueryVariables = { first: 10, where: { userId: { eq: "u1" } } };

export function average(data: MetricNumbersQuery): number | null | undefined {
  return data.metric?.query?.series[0].total.avg;
}

export function points(data: MetricNumbersQuery): number {
  return data.metric?.query?.series[0].total.count ?? 0;
}

export function names(data: EventPageQuery): string[] {
  const edges = data.events?.edges ?? [];
  return edges.map(({ node }) => `${node.name} by ${node.userId ?? "nobody"}`);
}

export function isWell(data: HealthQuery): boolean {
  return data.health.status === "OK";
}

export function metricNames(data: OverviewQuery): string[] | undefined {
  return data.overview.metricNames;
}

export function accepted(data: RecordMetricsMutation): number | undefined {
  return data.recordMetrics?.accepted;
}

export function chart(data: MetricChartQuery): { label: string; line: [string, number | null][] }[] {
  const { times = [], series = [] } = data.metric?.query ?? {};
  return series.map(({ label, columns }) => {
    return { label, line: times.map((time, n) => [time, columns.avg[n]]) };
  });
}
