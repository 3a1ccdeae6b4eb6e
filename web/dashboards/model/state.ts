/** What the pages show: answers of the service as signals, with their errors. */

import { batch, computed, effect, type Signal, signal } from "@preact/signals";

import { view } from "./address";
import {
  ARRIVAL,
  CATALOGUE,
  type CatalogueData,
  LISTS,
  NOW,
  OVERVIEW,
  type OverviewData,
  type OverviewVariables,
} from "./documents";
import { filterOf } from "./filters";
import { chooseLists, openTab } from "./lists";
import { DEFAULT_MEASURE, MEASURES } from "./measures";
import { compareInput, mostBuckets, rangeInput } from "./ranges";
import { ask, ServiceError } from "./service";

const NOW_EVERY_MS = 10_000;
const REFRESH_EVERY_MS = 60_000;
const ARRIVAL_EVERY_MS = 1_000;
const RETRY_EVERY_MS = 5_000;

export const catalogue = signal<CatalogueData | null>(null);
export const usersNow = signal<number | null>(null);
export const isReachable = signal(true);
/** Whether the project had no row when the page opened. */
export const isWaiting = signal(false);
export const hasArrived = signal(false);

export const data: Signal<OverviewData | null> = signal(null);
export const problem: Signal<ServiceError | null> = signal(null);
export const isLoading = signal(true);
export const refreshes = signal(0);

export const lists = computed(() => chooseLists(catalogue.value?.eventTypes ?? []));
export const measure = computed(() => MEASURES[view.value.measure] ?? DEFAULT_MEASURE);

/** The part of a question that all documents have. */
export const question = computed(() => {
  const { range, zone, compare, filters } = view.value;
  const { aggregate, needs } = measure.value;
  return {
    range: rangeInput(range),
    timezone: zone,
    compare: compareInput(compare, range),
    where: filterOf(filters),
    orderBy: { aggregate },
    count: needs.includes("count"),
    users: needs.includes("users"),
    sessions: needs.includes("sessions"),
  };
});

export const overviewVariables = computed((): OverviewVariables => {
  const tabs = LISTS.map((index) => {
    const list = lists.value[index];
    return list ? [openTab(list, view.value.tabs).groupBy] : null;
  });
  const inputs = LISTS.flatMap((index) => [
    [`with${index}`, tabs[index] !== null],
    ...(tabs[index] ? [[`list${index}`, tabs[index]]] : []),
  ]);
  return { ...question.value, granularity: view.value.granularity, maxPoints: mostBuckets(view.value.range), ...Object.fromEntries(inputs) };
});

export function refresh(): void {
  refreshes.value += 1;
}

function show(error: unknown): void {
  if (error instanceof ServiceError) {
    batch(() => {
      problem.value = error;
      isLoading.value = false;
      isReachable.value = error.code !== "UNREACHABLE";
    });
  } else if (!(error instanceof DOMException && error.name === "AbortError")) {
    throw error;
  }
}

export async function loadCatalogue(): Promise<void> {
  try {
    const answer = await ask(CATALOGUE, {});
    batch(() => {
      const { eventCount, metricCount } = answer.overview;
      isWaiting.value = eventCount + metricCount === 0;
      isLoading.value = !isWaiting.value && !view.value.page;
      catalogue.value = answer;
      problem.value = null;
      isReachable.value = true;
    });
  } catch (error) {
    show(error);
  }
}

/** Ask the overview again whenever its question changes. The old answer stays until then. */
export function keepOverview(): () => void {
  const isReady = computed(() => catalogue.value !== null && !isWaiting.value && !view.value.page);
  // A text is equal if its parts are: what leads to the same question does not abort it.
  const key = computed(() => isReady.value && JSON.stringify(overviewVariables.value) + refreshes.value);
  return effect(() => {
    if (!key.value) {
      isLoading.value = !view.peek().page && !isWaiting.peek();
      return undefined;
    }
    const controller = new AbortController();
    isLoading.value = true;
    ask(OVERVIEW, overviewVariables.peek(), controller.signal).then((answer) => {
      batch(() => {
        data.value = answer;
        problem.value = null;
        isLoading.value = false;
        isReachable.value = true;
      });
    }, show);
    return () => controller.abort();
  });
}

async function countNow(): Promise<void> {
  try {
    const { now } = await ask(NOW, {});
    usersNow.value = now.series[0]?.total["uniqueUsers"] ?? 0;
    isReachable.value = true;
  } catch {
    isReachable.value = false;
  }
}

async function awaitArrival(): Promise<void> {
  const { overview } = await ask(ARRIVAL, {});
  if (overview.eventCount + overview.metricCount > 0) {
    hasArrived.value = true;
  }
}

/** Run an action again and again while the page is visible. */
function repeat(action: () => unknown, everyMs: number): () => void {
  const timer = setInterval(() => document.hidden || action(), everyMs);
  return () => clearInterval(timer);
}

/** Keep what changes by itself: people now, the first row, the end of a range that is now. */
export function keepCurrent(): () => void {
  const stops = [
    repeat(() => catalogue.value && countNow(), NOW_EVERY_MS),
    repeat(() => isWaiting.value && !hasArrived.value && awaitArrival().catch(show), ARRIVAL_EVERY_MS),
    repeat(() => !isWaiting.value && catalogue.value && refresh(), REFRESH_EVERY_MS),
    repeat(() => problem.value?.code === "UNREACHABLE" && (catalogue.value ? refresh() : loadCatalogue()), RETRY_EVERY_MS),
    effect(() => void (catalogue.value && countNow())),
  ];
  return () => stops.forEach((stop) => stop());
}
