/** The view of a page in its address: a copied link shows the same, back and forward work.
 *
 * The view is in the fragment. Browsers never send it, so no log has the filters.
 */

import { signal } from "@preact/signals";

import { type Chip, chipFromText, chipToText, isSame } from "./filters";

const root = document.querySelector<HTMLMetaElement>("meta[name=root]")?.content ?? "./";
/** Address of the service, below any prefix. */
export const ROOT = new URL(root, location.href.split("#")[0]);

export interface View {
  page: string;
  range: string;
  zone: string;
  compare: string;
  granularity: string;
  measure: string;
  filters: readonly Chip[];
  /** Tab of each list that is not its first. */
  tabs: Readonly<Record<string, string>>;
  isKiosk: boolean;
}

export const HOME_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const DEFAULTS: View = {
  page: "",
  range: "7d",
  zone: HOME_ZONE,
  compare: "previous",
  granularity: "AUTO",
  measure: "events",
  filters: [],
  tabs: {},
  isKiosk: false,
};

function isZone(name: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

function fromAddress(): View {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const text = (name: string, fallback: string): string => parameters.get(name) ?? fallback;
  const tabs = parameters.getAll("tab").map((tab): [string, string] => {
    const [list = "", ...key] = tab.split(":");
    return [list, key.join(":")];
  });
  const zone = text("zone", DEFAULTS.zone);
  return {
    page: location.pathname.slice(ROOT.pathname.length).split("/")[1] ?? "",
    range: text("range", DEFAULTS.range),
    zone: isZone(zone) ? zone : HOME_ZONE,
    compare: text("compare", DEFAULTS.compare),
    granularity: text("interval", DEFAULTS.granularity),
    measure: text("show", DEFAULTS.measure),
    filters: parameters.getAll("filter").flatMap((filter) => chipFromText(filter) ?? []),
    tabs: Object.fromEntries(tabs),
    isKiosk: parameters.has("kiosk"),
  };
}

/** Return the address of a view, with its time zone: it shows the same days to everybody. */
export function addressOf(view: View): string {
  const parameters = new URLSearchParams();
  const set = (name: string, value: string, fallback: string): void => {
    if (value !== fallback) {
      parameters.set(name, value);
    }
  };
  set("range", view.range, DEFAULTS.range);
  set("compare", view.compare, DEFAULTS.compare);
  set("interval", view.granularity, DEFAULTS.granularity);
  set("show", view.measure, DEFAULTS.measure);
  view.filters.forEach((chip) => parameters.append("filter", chipToText(chip)));
  Object.entries(view.tabs).forEach(([list, key]) => parameters.append("tab", `${list}:${key}`));
  parameters.set("zone", view.zone);
  if (view.isKiosk) {
    parameters.set("kiosk", "1");
  }
  // These are safe in a fragment, and read better.
  const fragment = parameters.toString().replaceAll("%3A", ":").replaceAll("%2F", "/");
  const path = view.page ? `dashboards/${view.page}` : "dashboards";
  return `${new URL(path, ROOT).pathname}#${fragment}`;
}

export const view = signal<View>(fromAddress());

/** Change the view, as a step that "back" takes back. */
export function change(changes: Partial<View>): void {
  const next = { ...view.value, ...changes };
  const address = addressOf(next);
  if (address !== location.pathname + location.hash) {
    history.pushState(null, "", address);
  }
  view.value = next;
}

/** Add a filter, unless the view has it. */
export function addFilter(chip: Chip): void {
  const { filters } = view.value;
  if (!filters.some((present) => isSame(present, chip))) {
    change({ filters: [...filters, chip] });
  }
}

export function resetView(): void {
  change({ ...DEFAULTS, zone: view.value.zone, page: view.value.page });
}

/** Follow the address. Returns the end of it. */
export function followAddress(): () => void {
  const follow = (): void => {
    view.value = fromAddress();
  };
  history.replaceState(null, "", addressOf(view.value));
  addEventListener("popstate", follow);
  return () => removeEventListener("popstate", follow);
}
