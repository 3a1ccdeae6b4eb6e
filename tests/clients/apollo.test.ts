// Apollo Client as an application uses it: normalised cache, pages that are merged, typed documents.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  ApolloClient,
  CombinedGraphQLErrors,
  HttpLink,
  InMemoryCache,
  type ObservableQuery,
} from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { relayStylePagination } from "@apollo/client/utilities";
import { filter, firstValueFrom } from "rxjs";
import {
  EventPageDocument,
  MetricNumbersDocument,
  MetricPageDocument,
  RecordMetricsDocument,
} from "./generated/graphql.ts";
import {
  eventsOfUser1,
  pageViews,
  possibleTypes,
  recordingFetch,
  samples,
  url,
} from "./service.ts";

function connect() {
  const { fetch, answers } = recordingFetch();
  const client = new ApolloClient({
    link: new HttpLink({ uri: url, fetch }),
    cache: new InMemoryCache({
      possibleTypes: possibleTypes(),
      typePolicies: {
        Query: {
          fields: {
            events: relayStylePagination(["where", "range"]),
            metrics: relayStylePagination(["search"]),
          },
        },
      },
    }),
  });
  return { client, answers };
}

/** Lets results pass that have all of their data, and are not about to change. */
function complete<T>() {
  return filter(
    (result: ObservableQuery.Result<T>): result is ObservableQuery.Result<T, "complete"> =>
      result.dataState === "complete" && !result.loading,
  );
}

test("the aggregates of a metric, through aliases and nested fragments", async () => {
  const { client } = connect();
  const { data } = await client.query({
    query: MetricNumbersDocument,
    variables: pageViews.variables,
  });
  assert.equal(data?.metric?.name, "page_views");
  assert.partialDeepStrictEqual(data.metric.query?.series[0].total, pageViews.firstDay);
  assert.partialDeepStrictEqual(data.metric.recent?.series[0].total, pageViews.nothing);
  assert.partialDeepStrictEqual(data.metric.allTime?.series[0].total, pageViews.nothing);
  assert.partialDeepStrictEqual(data.metric.query?.meta?.range, {
    from: "2026-01-01T00:00:00.000Z",
    to: "2026-01-02T00:00:00.000Z",
  });
});

test("pages of events are merged in the cache, in order, and read from there", async () => {
  const { client, answers } = connect();
  const variables = { where: eventsOfUser1.where, first: 2 };
  const pages = client.watchQuery({ query: EventPageDocument, variables });
  const subscription = pages.subscribe({});
  let { data } = await firstValueFrom(pages.pipe(complete()));
  while (data.events?.pageInfo.hasNextPage) {
    await pages.fetchMore({ variables: { after: data.events.pageInfo.endCursor } });
    ({ data } = await firstValueFrom(pages.pipe(complete())));
  }
  subscription.unsubscribe();
  assert.equal(answers.length, 3);
  assert.equal(data.events?.totalCount, 5);
  const found = data.events?.edges.map((edge) => edge.node.properties);
  assert.deepEqual(found, eventsOfUser1.properties);
  const again = await client.query({ query: EventPageDocument, variables });
  assert.deepEqual(again.data, data);
  assert.equal(answers.length, 3);
  const cached = Object.keys(client.cache.extract() as object);
  assert.equal(cached.filter((key) => key.startsWith("Event:event_")).length, 5);
});

test("pages of metrics are merged, too", async () => {
  const { client } = connect();
  const variables = { search: "p", first: 1 };
  const pages = client.watchQuery({ query: MetricPageDocument, variables });
  const subscription = pages.subscribe({});
  const { data } = await firstValueFrom(pages.pipe(complete()));
  await pages.fetchMore({ variables: { first: 5, after: data.metrics?.pageInfo.endCursor } });
  const merged = await firstValueFrom(pages.pipe(complete()));
  subscription.unsubscribe();
  const names = merged.data.metrics?.edges.map((edge) => edge.node.name);
  assert.deepEqual(names, ["cpu", "page_views", "signups"]);
  assert.equal(merged.data.metrics?.pageInfo.hasNextPage, false);
});

test("a mutation is in the numbers of the queries that it refetches", async () => {
  const { client } = connect();
  const variables = { ...pageViews.variables, name: "cpu" };
  const watched = client.watchQuery({ query: MetricNumbersDocument, variables });
  const subscription = watched.subscribe({});
  await firstValueFrom(watched.pipe(complete()));
  const time = "2026-01-01T23:59:59.999Z";
  const { data } = await client.mutate({
    mutation: RecordMetricsDocument,
    variables: {
      metrics: [
        { name: "cpu", value: 0.25, time },
        { name: "", value: 1 },
      ],
    },
    refetchQueries: [MetricNumbersDocument],
    awaitRefetchQueries: true,
  });
  assert.equal(data?.recordMetrics?.accepted, 1);
  assert.equal(data.recordMetrics.errors[0].code, "BAD_USER_INPUT");
  const after = await firstValueFrom(watched.pipe(complete()));
  subscription.unsubscribe();
  assert.equal(after.data.metric?.query?.series[0].total.sum, 0.25);
});

test("an error has its code, and leaves what else there is to the client that asks", async () => {
  const { client } = connect();
  const unknown = {
    query: MetricNumbersDocument,
    variables: { ...pageViews.variables, name: "nobody" },
  };
  await assert.rejects(client.query(unknown), (error) => {
    assert(CombinedGraphQLErrors.is(error));
    assert.equal(error.errors[0].extensions?.code, "NOT_FOUND");
    return true;
  });
  const { data, error } = await client.query({ ...unknown, errorPolicy: "all" });
  assert.deepEqual(data, { metric: null });
  assert(CombinedGraphQLErrors.is(error));
  const tooMany = { query: EventPageDocument, variables: { first: 1001 } };
  await assert.rejects(client.query(tooMany), (error) => {
    assert(CombinedGraphQLErrors.is(error));
    const { code, field, limit } = error.errors[0].extensions ?? {};
    assert.deepEqual(
      { code, field, limit },
      { code: "BAD_USER_INPUT", field: "first", limit: 1000 },
    );
    return true;
  });
});

for (const [useGETForHashedQueries, accept] of [
  [false, undefined],
  [true, undefined],
  [false, "*/*"],
  [true, "application/json"],
] as const) {
  test(`hashes of documents (${accept}, GET: ${useGETForHashedQueries}): sent in full once`, async () => {
    const { fetch, methods, answers } = recordingFetch();
    const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
    const client = new ApolloClient({
      link: new PersistedQueryLink({ sha256, useGETForHashedQueries }).concat(
        new HttpLink({ uri: url, fetch, headers: accept ? { accept } : {} }),
      ),
      cache: new InMemoryCache(),
    });
    for (let time = 0; time < 2; time++) {
      const { data } = await client.query({
        query: MetricNumbersDocument,
        variables: pageViews.variables,
        fetchPolicy: "network-only",
      });
      assert.partialDeepStrictEqual(data?.metric?.query?.series[0].total, pageViews.firstDay);
    }
    assert(answers.length === 3 || answers.length === 2); // 2 if an earlier test sent the document
    assert.equal(methods.at(-1), useGETForHashedQueries ? "GET" : "POST");
  });
}

for (const { name, document, variables, isMutation } of samples) {
  test(`${name}: the cache gives back what the service answered`, async (t) => {
    const { client, answers } = connect();
    const complaints = [t.mock.method(console, "warn"), t.mock.method(console, "error")];
    const { data } = isMutation
      ? await client.mutate({ mutation: document, variables })
      : await client.query({ query: document, variables });
    assert.deepEqual(data, answers[0].data);
    if (!isMutation) {
      assert.deepEqual(client.readQuery({ query: document, variables }), data);
    }
    assert.deepEqual(
      complaints.flatMap((complaint) => complaint.mock.calls),
      [],
    );
  });
}
