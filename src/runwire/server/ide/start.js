"use strict";

// Starts GraphiQL. What differs from server to server stands in the page's data block.
const { assets, endpoint, tabs, demandsToken } = JSON.parse(
  document.getElementById("config").textContent,
);

// Monaco would make blob: workers, which the page's policy forbids.
const workers = { graphql: "graphql", json: "json" };
globalThis.MonacoEnvironment = {
  getWorker: (_module, label) =>
    new Worker(`${assets}/${workers[label] ?? "editor"}.worker.js`, { name: label }),
};

// The token lives as long as the browser's tab, and never in its history or on disk.
const TOKEN = "runwire:token";
const authorization = () => {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
};

// A websocket has no headers of its own: those of the active tab go with connection_init.
let tabHeaders = {};
const rememberHeaders = (text) => {
  try {
    tabHeaders = JSON.parse(text || "{}");
  } catch {
    // Half typed: what was there before still holds.
  }
};

function showGraphiQL() {
  const place = new URL(location.href).searchParams;
  const asked = place.get("query");
  const returning = localStorage.getItem("graphiql:tabState") !== null;
  const variables = place.get("variables") ?? undefined;
  const starters = asked === null ? tabs : [{ query: asked, variables }, ...tabs];
  const url = new URL(endpoint, location.href).href;
  YogaGraphiQL.renderYogaGraphiQL(document.getElementById("graphiql"), {
    endpoint: url,
    subscriptionsEndpoint: url,
    subscriptionsProtocol: "WS",
    additionalHeaders: authorization,
    connectionParams: () => ({ ...authorization(), ...tabHeaders }),
    title: "runwire",
    logo: "<span></span>",
    defaultTabs: starters,
    // Given even when undefined: otherwise a welcome text takes the place of the first tab.
    initialQuery: asked ?? undefined,
    initialVariables: asked === null && returning ? undefined : starters[0]?.variables,
    shouldPersistHeaders: false,
    // By default every keystroke goes into the address, and from there into logs.
    onEditQuery: () => {},
    onEditHeaders: rememberHeaders,
    onTabChange: ({ tabs, activeTabIndex }) => rememberHeaders(tabs[activeTabIndex].headers),
  });
}

async function isAdmitted() {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...authorization() },
    body: JSON.stringify({ query: "{ __typename }" }),
  });
  return response.status !== 401;
}

function askForToken() {
  const form = document.getElementById("login");
  const problem = document.getElementById("problem");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    sessionStorage.setItem(TOKEN, new FormData(form).get("token").trim());
    if (await isAdmitted()) {
      form.hidden = true;
      showGraphiQL();
    } else {
      sessionStorage.removeItem(TOKEN);
      problem.textContent = "The server does not take this token.";
    }
  });
}

if (demandsToken && !(await isAdmitted())) {
  askForToken();
} else {
  showGraphiQL();
}
