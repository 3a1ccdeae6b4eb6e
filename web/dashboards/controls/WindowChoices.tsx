/** The menu of the window: full screen, kiosk mode. */

import type { JSX } from "preact";

import { change } from "../model/address";
import { toggleFullScreen } from "./window";

export function WindowChoices({ close }: { close: () => void }): JSX.Element {
  return (
    <ul class="choices">
      <li>
        <button type="button" onClick={() => { toggleFullScreen(); close(); }}>
          <span class="text">Full screen</span>
          <kbd>F</kbd>
        </button>
      </li>
      <li>
        <button type="button" onClick={() => change({ isKiosk: true })}>
          <span class="text">Kiosk mode</span>
          <kbd>K</kbd>
        </button>
      </li>
    </ul>
  );
}
