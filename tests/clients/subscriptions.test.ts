// Subscriptions by the reference clients, and by the links of Apollo and urql.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApolloClient, gql, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { Client as UrqlClient, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient as createStreamClient } from "graphql-sse";
import { CloseCode, createClient } from "graphql-ws";

const url = `${process.env.SERVICE}/graphql`;
const socketUrl = url.replace(/^http/, "ws");
const overview = 'subscription {overviewChanged(throttle: "PT0.1S") {eventCount}}';
const trend = `subscription($name: String!) {
  eventTrendChanged(range: {last: "PT1H"}, where: {name: {eq: $name}}, throttle: "PT0.1S") {
    meta {isSnapshot}
    series {total {count}}
  }
}`;

interface Trend {
  eventTrendChanged: { meta: { isSnapshot: boolean }; series: { total: { count: number } }[] };
}

async function record(name: string) {
  const body = JSON.stringify({ event_name: name });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${process.env.SERVICE}/events`, { method: "POST", headers, body });
  assert.equal(answer.status, 200);
}

/** Takes a snapshot, records an event, and takes results until its count has come. */
async function follow(results: AsyncIterator<unknown>, name: string) {
  let counts: number[] = [];
  while (counts.at(-1) !== 1) {
    const { value } = (await results.next()) as { value: { data: Trend } };
    const { meta, series } = value.data.eventTrendChanged;
    if (!counts.length) {
      assert.equal(meta.isSnapshot, true);
      await record(name);
    }
    counts = [...counts, series[0]?.total.count ?? 0];
  }
  await results.return?.();
}

/** Results of a subscription that calls back, as an iterator. */
function iterate(subscribe: (push: (value: unknown) => void) => () => void) {
  const values: unknown[] = [];
  let wake = () => {};
  const stop = subscribe((value) => {
    values.push(value);
    wake();
  });
  return {
    async next() {
      while (!values.length) await new Promise<void>((resolve) => { wake = resolve; });
      return { value: values.shift(), done: false as const };
    },
    async return() {
      stop();
      return { value: undefined, done: true as const };
    },
  };
}

test("graphql-ws", async () => {
  const client = createClient({ url: socketUrl, keepAlive: 1000 });
  await follow(client.iterate({ query: trend, variables: { name: "ws" } }), "ws");
  for await (const { data } of client.iterate<{ overviewChanged: { eventCount: number } }>({ query: overview })) {
    assert((data?.overviewChanged.eventCount ?? 0) > 0);
    break;
  }
  for await (const { data } of client.iterate({ query: "{health {status}}" })) {
    assert.deepEqual(data, { health: { status: "OK" } });
  }
  await assert.rejects(async () => {
    for await (const _ of client.iterate({ query: "subscription {nope}" }));
  }, (errors: { extensions: { code: string } }[]) => errors[0].extensions.code === "GRAPHQL_VALIDATION_FAILED");
  await client.dispose();
});

test("graphql-ws with a wrong key is closed with 4403", async () => {
  const client = createClient({
    url: socketUrl,
    retryAttempts: 0,
    connectionParams: { authorization: "Bearer sk_wrong" },
  });
  await assert.rejects(async () => {
    for await (const _ of client.iterate({ query: overview }));
  }, (event: CloseEvent) => event.code === CloseCode.Forbidden);
});

for (const singleConnection of [false, true]) {
  test(`graphql-sse, single connection: ${singleConnection}`, async () => {
    const client = createStreamClient({ url, singleConnection });
    const name = `sse ${singleConnection}`;
    await follow(client.iterate({ query: trend, variables: { name } }), name);
    for await (const { data } of client.iterate({ query: "{health {status}}" })) {
      assert.deepEqual(data, { health: { status: "OK" } });
    }
    const both = ["one", "two"].map((it) => {
      const variables = { name: `${name} ${it}` };
      return follow(client.iterate({ query: trend, variables }), variables.name);
    });
    await Promise.all(both);
    client.dispose();
  });
}

test("Apollo's link", async () => {
  const socket = createClient({ url: socketUrl });
  const client = new ApolloClient({ link: new GraphQLWsLink(socket), cache: new InMemoryCache() });
  const results = iterate((push) => {
    const query = gql(trend);
    const observable = client.subscribe({ query, variables: { name: "apollo" }, fetchPolicy: "no-cache" });
    const subscription = observable.subscribe(push);
    return () => subscription.unsubscribe();
  });
  await follow(results, "apollo");
  client.stop();
  await socket.dispose();
});

test("urql's exchange", async () => {
  const socket = createClient({ url: socketUrl });
  const exchange = subscriptionExchange({
    forwardSubscription: ({ query, variables }) => ({
      subscribe: (sink) => ({
        unsubscribe: socket.subscribe({ query: query ?? "", variables }, sink as never),
      }),
    }),
  });
  const client = new UrqlClient({ url, exchanges: [exchange] });
  const results = iterate((push) => {
    const { unsubscribe } = client.subscription(trend, { name: "urql" }).subscribe(push);
    return unsubscribe;
  });
  await follow(results, "urql");
  await socket.dispose();
});

test("urql by fetch", async () => {
  const client = new UrqlClient({ url, exchanges: [fetchExchange], fetchSubscriptions: true });
  const results = iterate((push) => {
    const { unsubscribe } = client.subscription(trend, { name: "urql fetch" }).subscribe(push);
    return unsubscribe;
  });
  await follow(results, "urql fetch");
});

test("a browser's EventSource has the stream by GET", async () => {
  const address = `${url}?query=${encodeURIComponent(overview)}`;
  const answer = await fetch(address, { headers: { accept: "text/event-stream" } });
  assert.equal(answer.status, 200);
  await answer.body?.cancel();
});
