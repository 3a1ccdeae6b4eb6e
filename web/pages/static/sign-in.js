/** The page to sign in, with a key or with the provider of OpenID Connect, and to sign out. */

import { caller } from "./session.js";

/** Text for each way in which a sign-in with the provider fails. */
const FAILURES = {
  forbidden: "You are known, but no key has you as a member. Ask your operator.",
  unauthenticated: "The sign-in did not succeed, or took too long. Please try again.",
  not_found: "This service has no provider to sign in with.",
};
const NEXT = "analytics.next";
const PAGES = /^(|graphql|docs|redoc|dashboards(\/[a-z0-9-]+)?)$/;

/** @param {string} id */
function element(id) {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`no #${id}`);
  }
  return found;
}

/** @param {string} text */
function showFailure(text) {
  element("failure").textContent = text;
  element("failure").hidden = false;
}

/** Goes to the page that a person came from. It is one of ours, whatever the address says. */
function goOn() {
  const next = sessionStorage.getItem(NEXT) ?? "";
  sessionStorage.removeItem(NEXT);
  const [page = ""] = next.split(/[?#]/, 1);
  location.replace(PAGES.test(page) ? `./${next}` : "./");
}

/** @param {string} method @param {string} path @param {object} [body] */
async function send(method, path, body) {
  const response = await fetch(path, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  });
  const content = response.status === 204 ? null : await response.json();
  if (!response.ok) {
    throw new Error(content.errors[0].message);
  }
  return content;
}

/**
 * Runs an action of a button, which can't be pressed again meanwhile.
 * @param {HTMLElement} button
 * @param {() => Promise<void>} action
 */
async function act(button, action) {
  element("failure").hidden = true;
  button.toggleAttribute("disabled", true);
  try {
    await action();
  } catch (error) {
    showFailure(error instanceof TypeError ? "The service can't be reached." : String(/** @type {Error} */ (error).message));
  } finally {
    button.toggleAttribute("disabled", false);
  }
}

/** @param {import("./session.js").Caller} known */
function showSignedIn(known) {
  element("title").textContent = "You are signed in";
  document.title = "Signed in · Analytics Service";
  element("person").textContent = known.person;
  element("project").textContent = known.project;
  element("scopes").textContent = known.scopes.map((scope) => scope.toLowerCase().replace("_", " ")).join(", ");
  const expiry = new Date(known.expires_at ?? 0);
  element("expiry").textContent = expiry.toLocaleString([], { dateStyle: "long", timeStyle: "short" });
  element("signed-in").hidden = false;
  element("sign-out").addEventListener("click", () =>
    act(element("sign-out"), async () => {
      await send("DELETE", "session");
      location.replace("./sign-in");
    }),
  );
}

/** @param {string | null} provider */
function showSigningIn(provider) {
  const key = /** @type {HTMLInputElement} */ (element("key"));
  element("signing-in").hidden = false;
  if (provider) {
    element("provider").textContent = `Continue with ${provider}`;
    element("provider").hidden = element("or").hidden = false;
    element("submit").classList.remove("main"); // one button is the first choice
    element("provider").addEventListener("click", () =>
      act(element("provider"), async () => {
        const { location: address } = await send("POST", "session/openid", { base: new URL("./", location.href).href });
        location.assign(address);
      }),
    );
  } else {
    key.focus();
  }
  const form = element("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(element("submit"), async () => {
      try {
        await send("POST", "session", { key: key.value });
        goOn();
      } finally {
        key.value = "";
      }
    });
  });
}

async function show() {
  const address = new URL(location.href);
  const next = address.searchParams.get("next");
  const failure = address.searchParams.get("failure");
  if (next !== null) {
    sessionStorage.setItem(NEXT, next);
  }
  history.replaceState(null, "", "sign-in");
  const known = await caller;
  if (known.person && sessionStorage.getItem(NEXT) !== null && next === null) {
    goOn(); // the provider sent the browser back
  } else if (known.person) {
    showSignedIn(known);
  } else if (known.is_open) {
    element("open").hidden = false;
  } else {
    showSigningIn(known.provider);
  }
  if (failure !== null) {
    showFailure(/** @type {Record<string, string>} */ (FAILURES)[failure] ?? "The sign-in did not succeed.");
  }
}

show().catch(() => showFailure("The service can't be reached. Please load the page again."));
