/** What the pages say after an error of the API. */

import type { JSX } from "preact";

import { resetView } from "../model/address";
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
