/** What concerns the window: its size, the list of shortcuts. */

import { signal } from "@preact/signals";

export const isHelpOpen = signal(false);

export function toggleFullScreen(): void {
  if (document.fullscreenElement) {
    void document.exitFullscreen();
  } else {
    document.documentElement.requestFullscreen().catch(() => {}); // a browser may refuse
  }
}
