/** The operations that the explorer opens with, each in a tab; `examples/` has them in order. */

const queries = import.meta.glob<string>("./examples/*.graphql", {
  query: "?raw",
  import: "default",
  eager: true,
});
const variables = import.meta.glob<string>("./examples/*.json", {
  query: "?raw",
  import: "default",
  eager: true,
});

export const examples = Object.entries(queries).map(([path, query]) => ({
  query,
  variables: variables[path.replace(".graphql", ".json")] ?? null,
}));
