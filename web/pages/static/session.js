/** Who is signed in: asked once, and shown in the bar. */

/**
 * @typedef {object} Caller
 * @property {boolean} is_open whether requests need no key
 * @property {string | null} provider host of the provider of OpenID Connect
 * @property {string | null} person null: nobody is signed in
 * @property {string | null} project
 * @property {string[]} scopes
 * @property {string | null} expires_at
 */

/** @returns {Promise<Caller>} */
async function fetchCaller() {
  const response = await fetch("session");
  if (!response.ok) {
    throw new Error(`GET session: ${response.status}`);
  }
  return response.json();
}

export const caller = fetchCaller();

async function showAccount() {
  const account = document.getElementById("account");
  const { is_open, person } = await caller;
  const leadsHere = account?.hasAttribute("aria-current");
  if (account && (person || !(is_open || leadsHere))) {
    account.textContent = person ?? "Sign in";
    account.title = person ? "Signed in. Sign out here." : "";
    account.hidden = false;
  }
}

showAccount().catch(() => {}); // the page works without it
