/** A result as lines over time: one area with the period before, or one line for each series. */

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";

import { bucketName, changeOf, full, rangeName, short } from "../model/format";
import { intervalSeconds, isUnfinished } from "../model/ranges";
import type { Columns, SeriesResult, Value } from "../model/results";
import { DataTable } from "../views/lazy";
import { Chart, type Line } from "./Chart";
import { ChangeBadge } from "./Kpi";

export interface TimeSeriesProperties {
  result: SeriesResult;
  title: string;
  unit?: string | null;
  /** Chooses the aggregate that is drawn; default: the first selected one. */
  column?: (columns: Columns) => readonly Value[];
  onZoom?: (range: string) => void;
}

/** Number of colours; later series use them again. */
const COLORS = 8;

export function colorName(index: number): string {
  return `--series-${index % COLORS}`;
}

function firstColumn(columns: Columns): readonly Value[] {
  return Object.values(columns)[0] ?? [];
}

/** Divide a line into its finished part and, dotted, the way to its unfinished last bucket. */
function divide(line: Line, isOpen: boolean): Line[] {
  const last = line.values.length - 1;
  if (!isOpen || last < 1) {
    return [line];
  }
  return [
    { ...line, values: line.values.map((value, index) => (index === last ? null : value)) },
    { ...line, form: "dotted", values: line.values.map((value, index) => (index < last - 1 ? null : value)) },
  ];
}

function linesOf(result: SeriesResult, column: (columns: Columns) => readonly Value[]): Line[] {
  const isOpen = isUnfinished(result.times, result.meta.range);
  const [single] = result.series;
  const length = result.times.length;
  const align = (values: readonly Value[]): Value[] => Array.from({ length }, (_, index) => values[index] ?? null);
  if (single && result.series.length === 1) {
    const before = single.previousColumns;
    const previous: Line[] = before ? [{ label: "Before", values: align(column(before)), color: "--before", form: "dashed" }] : [];
    return [...previous, ...divide({ label: single.label, values: align(column(single.columns)), color: colorName(0), form: "area" }, isOpen)];
  }
  return result.series.flatMap((series, index) =>
    divide({ label: series.label, values: align(column(series.columns)), color: series.isOther ? "--before" : colorName(index), form: "line" }, isOpen),
  );
}

function Tip({ result, column, index, title, unit }: Required<Omit<TimeSeriesProperties, "onZoom">> & { index: number }): JSX.Element {
  const { range } = result.meta;
  const seconds = intervalSeconds(range.granularity);
  const name = (times: readonly string[] | null): string => (times?.[index] ? bucketName(times[index], range.timezone, seconds) : "");
  const isOpen = index === result.times.length - 1 && isUnfinished(result.times, range);
  const [single] = result.series;
  if (single && result.series.length === 1) {
    const value = column(single.columns)[index] ?? null;
    const before = single.previousColumns ? (column(single.previousColumns)[index] ?? null) : null;
    return (
      <>
        <p class="tip-title">
          {title} <ChangeBadge change={isOpen ? null : changeOf(value, before)} />
        </p>
        <p class="tip-row">
          <i class="dot series-0" />
          <span>{name(result.times)}{isOpen && " (so far)"}</span>
          <b>{short(value, unit)}</b>
        </p>
        {result.previousTimes?.[index] && (
          <p class="tip-row before">
            <i class="dot before" />
            <span>{name(result.previousTimes)}</span>
            <b>{short(before, unit)}</b>
          </p>
        )}
      </>
    );
  }
  const rows = result.series
    .map((series, place) => ({ series, place, value: column(series.columns)[index] ?? null }))
    .sort((one, two) => (two.value ?? -Infinity) - (one.value ?? -Infinity));
  return (
    <>
      <p class="tip-title">{name(result.times)}{isOpen && " (so far)"}</p>
      {rows.slice(0, 12).map(({ series, place, value }) => (
        <p class="tip-row" key={series.label}>
          <i class={`dot ${series.isOther ? "before" : `series-${place % COLORS}`}`} />
          <span>{series.label}</span>
          <b>{short(value, unit)}</b>
        </p>
      ))}
      {rows.length > 12 && <p class="tip-more">and {rows.length - 12} more</p>}
    </>
  );
}

function summaryOf({ series, times, meta }: SeriesResult, title: string, column: (columns: Columns) => readonly Value[]): string {
  const values = series.flatMap(({ columns }) => column(columns)).filter((value): value is number => value !== null);
  const range = rangeName(meta.range.from, meta.range.to, meta.range.timezone);
  return values.length
    ? `${title}, ${range}: ${series.length} series of ${times.length} values, from ${full(values.reduce((one, two) => Math.min(one, two)))} to ${full(values.reduce((one, two) => Math.max(one, two)))}. The table below has all values.`
    : `${title}, ${range}: no values.`;
}

export function TimeSeries({ result, title, unit = null, column = firstColumn, onZoom }: TimeSeriesProperties): JSX.Element {
  const [index, setIndex] = useState<number | null>(null);
  const [isTable, setTable] = useState(false);
  const times = useMemo(() => result.times.map((time) => Date.parse(time) / 1000), [result]);
  const lines = useMemo(() => linesOf(result, column), [result, column]);
  const zoom = (first: number, last: number): void => {
    const end = result.times[last + 1] ?? result.meta.range.to;
    onZoom?.(`${result.times[first]}..${end}`);
  };
  return (
    <>
      <Chart
        times={times}
        lines={lines}
        zone={result.meta.range.timezone}
        summary={summaryOf(result, title, column)}
        format={(value) => short(value, unit)}
        tooltip={(place) => <Tip {...{ result, column, title, unit }} index={place} />}
        {...(onZoom && { onZoom: zoom })}
        index={index !== null && index < result.times.length ? index : null}
        onIndex={setIndex}
      />
      <details class="values" onToggle={(event) => setTable(event.currentTarget.open)}>
        <summary>Values as a table</summary>
        {isTable && <DataTable result={result} title={title} column={column} />}
      </details>
    </>
  );
}
