/** Who looks at the page, as the service knows him. */

import { signal } from "@preact/signals";

import { ROOT } from "./address";

export interface Caller {
  is_open: boolean;
  person: string | null;
}

export const caller = signal<Caller | null>(null);

export async function loadCaller(): Promise<void> {
  const response = await fetch(new URL("session", ROOT)).catch(() => null); // the page works without it
  if (response?.ok) {
    caller.value = await response.json();
  }
}
