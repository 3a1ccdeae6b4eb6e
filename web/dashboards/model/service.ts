/** Requests to the service, and the one shape of its errors. */

import { ROOT } from "./address";
import type { Document } from "./documents";

interface ErrorContent {
  message: string;
  extensions?: { code?: string; field?: string | null; limit?: number | null; retryAfter?: number };
}

/** An error of the API: `code`, `field` and `limit` are those of its answer. */
export class ServiceError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly field: string | null = null,
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

/** The hint for people who meet an error, by its code. */
const ADVICE: Readonly<Record<string, string>> = {
  UNREACHABLE: "The service does not answer. It may be starting again; this page keeps trying.",
  FORBIDDEN: "Your key has no right to query. Ask your operator for one with the scope QUERY.",
  QUERY_TOO_EXPENSIVE: "Choose a shorter range or a coarser interval, or add a filter.",
  RATE_LIMITED: "Your key has spent its budget. It fills up again by itself.",
  UNAVAILABLE: "The service is busy. Try again in a moment.",
  BAD_USER_INPUT: "Change the range, the interval or the filters.",
  INTERNAL_SERVER_ERROR: "This is a fault of the service. Its log has the details.",
};

export function adviceFor(error: ServiceError): string {
  return ADVICE[error.code] ?? "Try again, or begin with a fresh view.";
}

/** Leave for the page to sign in, which comes back to this view. */
function signIn(): Promise<never> {
  const page = location.pathname.slice(ROOT.pathname.length) + location.hash;
  sessionStorage.setItem("analytics.next", page);
  location.assign(new URL("sign-in", ROOT));
  return new Promise(() => {}); // the page is gone
}

function toError(status: number, content: ErrorContent): ServiceError {
  const { code, field, retryAfter } = content.extensions ?? {};
  return new ServiceError(code ?? `HTTP ${status}`, content.message, field ?? null, retryAfter ?? null);
}

/** Run a document. Throws `ServiceError`; a caller who must sign in is sent there. */
export async function ask<Data, Variables>(
  document: Document<Data, Variables>,
  variables: Variables,
  signal?: AbortSignal,
): Promise<Data> {
  let response: Response;
  let content: { data?: Data | null; errors?: ErrorContent[] };
  try {
    response = await fetch(new URL("graphql", ROOT), {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ query: document.text, variables }),
      ...(signal && { signal }),
    });
    content = await response.json();
  } catch (error) {
    if (signal?.aborted) {
      throw error;
    }
    throw new ServiceError("UNREACHABLE", "The service can't be reached.");
  }
  if (response.status === 401) {
    return signIn();
  }
  const [first] = content.errors ?? [];
  if (first || !content.data) {
    throw toError(response.status, first ?? { message: `The service answered with status ${response.status}.` });
  }
  return content.data;
}
