// The service under test, and the sample operations with their variables.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { buildSchema, type DocumentNode, isAbstractType } from "graphql";
import * as generated from "./generated/graphql.ts";

export const url = `${process.env.SERVICE}/graphql`;

type Variables = Record<string, unknown>;

const folder = new URL("../operations/", import.meta.url);
const documents = generated as Record<string, unknown>;

export const samples = readdirSync(folder)
  .filter((file) => file.endsWith(".graphql"))
  .map((file) => basename(file, ".graphql"))
  .filter((name) => `${name}Document` in documents)
  .map((name) => {
    const document = documents[`${name}Document`] as TypedDocumentNode<unknown, Variables>;
    return { name, document, variables: variablesOf(name), isMutation: isMutation(document) };
  });

function isMutation(document: DocumentNode): boolean {
  return document.definitions.some((it) => "operation" in it && it.operation === "mutation");
}

function variablesOf(name: string): Variables {
  const file = new URL(`${name}.json`, folder);
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
}

/** Which types an interface or union has: Apollo's cache needs it to match fragments on them. */
export function possibleTypes(): Record<string, string[]> {
  const file = new URL("../../schema/schema.graphql", import.meta.url);
  const schema = buildSchema(readFileSync(file, "utf8"));
  const abstract = Object.values(schema.getTypeMap()).filter(isAbstractType);
  return Object.fromEntries(
    abstract.map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]),
  );
}

/** A `fetch` that keeps what was asked and answered. */
export function recordingFetch() {
  const methods: string[] = [];
  const answers: { data?: unknown }[] = [];
  const recording: typeof fetch = async (input, init) => {
    const answer = await fetch(input, init);
    methods.push(init?.method ?? "GET");
    answers.push(await answer.clone().json());
    return answer;
  };
  return { fetch: recording, methods, answers };
}

/** What the rows of `samples.py` add up to. */
export const pageViews = {
  variables: {
    name: "page_views",
    from: "2026-01-01T00:00:00Z",
    to: "2026-01-02T00:00:00Z",
    last: "PT1H",
    brief: false,
  },
  firstDay: { count: 3, sum: 100.5, avg: 33.5, lowest: -50, highest: 150 },
  nothing: { count: 0, sum: 0, avg: null, lowest: null, highest: null },
};
export const eventsOfUser1 = {
  where: { name: { in: ["signup", "order"] }, userId: { eq: "u1" } },
  properties: [6, 5, 3, 1, 0].map((n) => ({ n, deep: [{ é: null }] })),
};
