/** What the pages say beside the panels, and when there is nothing to draw. */

import type { JSX } from "preact";

import { change, view } from "../model/address";
import type { Warning } from "../model/results";

export function UnknownPage(): JSX.Element {
  return (
    <div class="panel unknown">
      <h2>There is no dashboard “{view.value.page}”</h2>
      <p>It may have been renamed or deleted.</p>
      <button type="button" class="button main" onClick={() => change({ page: "" })}>
        Open the overview
      </button>
    </div>
  );
}

export function NothingFound(): JSX.Element {
  const { filters, range } = view.value;
  return (
    <div class="chart nothing-found">
      <svg viewBox="0 0 120 48" aria-hidden="true">
        <path d="M4 44h112M4 44V8" />
        <path class="flat" d="M8 38h104" />
      </svg>
      <p class="nothing-title">No events {filters.length ? "pass these filters in this range" : "in this range"}</p>
      <p class="nothing-actions">
        {filters.length > 0 && (
          <button type="button" class="button" onClick={() => change({ filters: [] })}>
            Clear the filters
          </button>
        )}
        {range !== "all" && (
          <button type="button" class="button" onClick={() => change({ range: "all", granularity: "AUTO" })}>
            Show all time
          </button>
        )}
      </p>
    </div>
  );
}

export function Warnings({ warnings }: { warnings: readonly Warning[] }): JSX.Element {
  return (
    <ul class="warnings">
      {warnings.map(({ code, message }) => (
        <li key={code + message}>{message}</li>
      ))}
    </ul>
  );
}
