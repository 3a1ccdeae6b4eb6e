// urql with its default exchanges: documents are cached whole, short queries go by GET.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, cacheExchange, fetchExchange } from "@urql/core";
import {
  EventPageDocument,
  type EventPageQuery,
  MetricNumbersDocument,
  RecordMetricsDocument,
} from "./generated/graphql.ts";
import { eventsOfUser1, pageViews, recordingFetch, samples, url } from "./service.ts";

function connect() {
  const { fetch, methods } = recordingFetch();
  const client = new Client({ url, fetch, exchanges: [cacheExchange, fetchExchange] });
  return { client, methods };
}

test("the aggregates of a metric, by GET, the second time from the cache", async () => {
  const { client, methods } = connect();
  for (let time = 0; time < 2; time++) {
    const { data, error } = await client.query(MetricNumbersDocument, pageViews.variables);
    assert.equal(error, undefined);
    assert.partialDeepStrictEqual(data?.metric?.query?.series[0].total, pageViews.firstDay);
    assert.partialDeepStrictEqual(data?.metric?.recent?.series[0].total, pageViews.nothing);
  }
  assert.deepEqual(methods, ["GET"]);
});

test("events, page after page", async () => {
  const { client } = connect();
  const found: unknown[] = [];
  let page: NonNullable<EventPageQuery["events"]>["pageInfo"] | undefined;
  do {
    const variables = { where: eventsOfUser1.where, first: 2, after: page?.endCursor };
    const { data } = await client.query(EventPageDocument, variables);
    assert(data?.events);
    assert.equal(data.events.totalCount, 5);
    page = data.events.pageInfo;
    found.push(...data.events.edges.map((edge) => edge.node.properties));
  } while (page.hasNextPage);
  assert.deepEqual(found, eventsOfUser1.properties);
});

test("a mutation is in the next answer", async () => {
  const { client } = connect();
  const variables = { ...pageViews.variables, name: "cpu" };
  await client.query(MetricNumbersDocument, variables);
  const metrics = [{ name: "cpu", value: 0.25, time: "2026-01-01T23:59:59.999Z" }];
  const recorded = await client.mutation(RecordMetricsDocument, { metrics });
  assert.equal(recorded.data?.recordMetrics?.accepted, 1);
  const requestPolicy = "network-only";
  const { data } = await client.query(MetricNumbersDocument, variables, { requestPolicy });
  assert.equal(data?.metric?.query?.series[0].total.sum, 0.25);
});

test("an error has its code", async () => {
  const { client } = connect();
  const unknown = { ...pageViews.variables, name: "nobody" };
  const { data, error } = await client.query(MetricNumbersDocument, unknown);
  assert.deepEqual(data, { metric: null });
  assert.equal(error?.graphQLErrors[0].extensions.code, "NOT_FOUND");
  assert.equal(error.networkError, undefined);
  const tooMany = await client.query(EventPageDocument, { first: 1001 });
  const { code, field, limit } = tooMany.error?.graphQLErrors[0].extensions ?? {};
  assert.deepEqual({ code, field, limit }, { code: "BAD_USER_INPUT", field: "first", limit: 1000 });
});

test("a trusted document is named by its id, by GET and by POST", async (context) => {
  // urql refuses documents without definitions, except in production.
  process.env.NODE_ENV = "production";
  context.after(() => { delete process.env.NODE_ENV; });
  const text = "query Trusted { metrics(search: \"page\") { totalCount } }";
  const saving = "mutation($d: [DocumentInput!]!) { saveDocuments(input: { documents: $d }) { documents { id } } }";
  const { fetch, methods } = recordingFetch();
  const saver = new Client({ url, fetch, exchanges: [fetchExchange] });
  const saved = await saver.mutation(saving, { d: [{ id: "Trusted", text }] });
  assert.equal(saved.error, undefined);
  for (const preferGetMethod of [true, false]) {
    const client = new Client({ url, fetch, preferGetMethod, exchanges: [fetchExchange] });
    const document = { kind: "Document", definitions: [], documentId: "Trusted" } as never;
    const { data, error } = await client.query(document, {});
    assert.equal(error, undefined);
    assert.deepEqual(data, { metrics: { totalCount: 1 } });
  }
  assert.deepEqual(methods, ["POST", "GET", "POST"]);
});

for (const { name, document, variables, isMutation } of samples) {
  test(`${name}: answered without error`, async () => {
    const { client } = connect();
    const asked = isMutation
      ? client.mutation(document, variables)
      : client.query(document, variables);
    const { data, error } = await asked;
    assert.equal(error, undefined);
    assert(data);
  });
}
