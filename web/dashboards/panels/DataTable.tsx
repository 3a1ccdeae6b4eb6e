/** The values of a chart as a table. */

import type { JSX } from "preact";

import type { Table } from "../model/exports";
import { bucketName, full } from "../model/format";
import { intervalSeconds } from "../model/ranges";
import type { Columns, Series, SeriesResult, Value } from "../model/results";

type Column = (columns: Columns) => readonly Value[];

/** Return the header and the rows of the table of a result. */
export function tableOf({ series, times, previousTimes, meta }: SeriesResult, title: string, column: Column): Table {
  const name = (one: Series): string => (series.length === 1 ? title : one.label);
  const compared = previousTimes !== null && series.length === 1;
  const before = compared ? column(series[0]?.previousColumns ?? {}) : [];
  const seconds = intervalSeconds(meta.range.granularity);
  return {
    columns: ["Time", ...series.map(name), ...(compared ? [`${title} before`] : [])],
    rows: times.map((time, index) => [
      bucketName(time, meta.range.timezone, seconds),
      ...series.map(({ columns }) => column(columns)[index] ?? null),
      ...(compared ? [before[index] ?? null] : []),
    ]),
  };
}

export function DataTable({ result, title, column }: { result: SeriesResult; title: string; column: Column }): JSX.Element {
  const { columns, rows } = tableOf(result, title, column);
  return (
    <div class="scroll" role="region" aria-label="Values" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((name) => (
              <th key={name} scope="col">{name}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([first, ...rest], index) => (
            <tr key={index}>
              <th scope="row">{first}</th>
              {rest.map((value, place) => (
                <td key={place}>{typeof value === "string" ? value : full(value)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
