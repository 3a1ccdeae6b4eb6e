/** The components that draw a panel, by the kind of the panel. */

import type { ComponentType } from "preact";

import type { GroupsResult, SeriesResult } from "../model/results";
import { TimeSeries } from "./TimeSeries";
import { TopList } from "./TopList";

/** What each kind of panel gets: an `EventResult` or a `MetricResult`, a title and a unit. */
export interface PanelProperties {
  result: SeriesResult & GroupsResult;
  title: string;
  unit?: string | null;
}

export const PANELS: Readonly<Record<string, ComponentType<PanelProperties>>> = {
  TIME_SERIES: TimeSeries,
  TOP_LIST: TopList,
};
