/** The lists of the overview, chosen from the properties that the project has. */

import type { EventType, GroupBy } from "./documents";
import { LISTS } from "./documents";
import { propertyField, titleOf } from "./filters";

export interface Tab {
  key: string;
  title: string;
  /** Field of the chip that a row makes. */
  field: string;
  groupBy: GroupBy;
}

export interface List {
  name: string;
  title: string;
  tabs: readonly Tab[];
}

/** Well-known keys, in the order of their tabs. */
const FAMILIES: readonly [name: string, title: string, keys: readonly string[]][] = [
  ["pages", "Pages", ["page", "path", "url", "page_url", "screen", "route", "title"]],
  ["sources", "Sources", ["referrer", "referrer_domain", "source", "channel", "utm_source", "utm_medium", "utm_campaign", "campaign"]],
  ["places", "Places", ["country", "country_code", "region", "city", "language", "locale"]],
  ["devices", "Devices", ["device", "device_type", "browser", "os", "platform", "app_version"]],
];
/** Numbers make no list: each value would be a row of its own. */
const LISTED_TYPES: readonly string[] = ["STRING", "BOOLEAN"];
const MOST_PROPERTIES = 20;

function propertyTab(key: string): Tab {
  return { key, title: titleOf(key), field: propertyField(key), groupBy: { property: key } };
}

const NAMES: List = {
  name: "names",
  title: "Events",
  tabs: [
    { key: "name", title: "Events", field: "name", groupBy: { field: "NAME" } },
    { key: "user", title: "Users", field: "userId", groupBy: { field: "USER_ID" } },
  ],
};

/** Return the keys of properties that make a list, the most frequent first. */
export function propertyKeys(types: readonly EventType[]): string[] {
  const counts = new Map<string, number>();
  for (const { count, properties } of types) {
    for (const { key, type, coverage } of properties) {
      if (LISTED_TYPES.includes(type)) {
        counts.set(key, (counts.get(key) ?? 0) + count * coverage);
      }
    }
  }
  return [...counts].sort(([, one], [, two]) => two - one).map(([key]) => key);
}

export function chooseLists(types: readonly EventType[]): List[] {
  const rest = new Set(propertyKeys(types));
  const lists: List[] = [];
  for (const [name, title, keys] of FAMILIES) {
    const tabs = keys.filter((key) => rest.delete(key)).map(propertyTab);
    if (tabs.length) {
      lists.push({ name, title, tabs });
    }
  }
  const properties = [...rest].slice(0, MOST_PROPERTIES).map(propertyTab);
  return [
    ...lists,
    NAMES,
    ...(properties.length ? [{ name: "properties", title: "Properties", tabs: properties }] : []),
  ].slice(0, LISTS.length);
}

export function openTab(list: List, tabs: Readonly<Record<string, string>>): Tab {
  return list.tabs.find(({ key }) => key === tabs[list.name]) ?? list.tabs[0]!;
}
