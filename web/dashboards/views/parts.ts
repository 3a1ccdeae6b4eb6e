/** The parts of `lazy.tsx`, in one script. */

export { FilterForm } from "../controls/FilterForm";
export { press } from "../controls/shortcuts";
export { Help } from "../controls/Help";
export { RangeSheet } from "../controls/RangeSheet";
export { CompareSheet, IntervalSheet } from "../controls/SelectSheets";
export { WindowChoices } from "../controls/WindowChoices";
export { DataTable, tableOf } from "../panels/DataTable";
export { PanelChoices } from "../panels/PanelChoices";
export { AllGroups } from "./AllGroups";
export { NothingFound, UnknownPage, Warnings } from "./Blank";
export { Events } from "./Events";
export { Waiting } from "./Waiting";
