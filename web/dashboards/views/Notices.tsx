/** What the pages say when there is nothing to draw: errors, and ranges without events. */

import type { JSX } from "preact";

import { change, resetView, view } from "../model/address";
import { adviceFor, type ServiceError } from "../model/service";

export function Problem({ error, onRetry }: { error: ServiceError; onRetry: () => void }): JSX.Element {
  return (
    <div class="problem" role="alert">
      <div>
        <p class="problem-title">{error.message}</p>
        <p>
          {adviceFor(error)}
          {error.retryAfter !== null && ` In ${Math.ceil(error.retryAfter)} s it may work again.`} <code>{error.code}</code>
        </p>
      </div>
      <div class="problem-actions">
        <button type="button" class="button" onClick={onRetry}>
          Try again
        </button>
        <button type="button" class="button" onClick={resetView}>
          Fresh view
        </button>
      </div>
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
