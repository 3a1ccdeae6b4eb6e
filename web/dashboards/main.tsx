/** The dashboards: starts what keeps them current, and shows them. */

import "../pages/static/pages.css";
import "uplot/dist/uPlot.min.css";
import "./styles/controls.css";
import "./styles/dashboards.css";
import "./styles/panels.css";

import { render } from "preact";

import { App } from "./App";
import { followAddress } from "./model/address";
import { loadCaller } from "./model/caller";
import { keepShortcuts } from "./controls/keys";
import { keepCurrent, keepOverview, loadCatalogue } from "./model/state";
import { keepTheme } from "./model/theme";

keepTheme();
followAddress();
keepShortcuts();
keepOverview();
keepCurrent();
void loadCaller();
void loadCatalogue();

const box = document.getElementById("dashboards")!;
box.replaceChildren();
render(<App />, box);
