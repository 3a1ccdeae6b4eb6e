/** Links to an operation: `/graphql#query=…&variables=…`; what is behind the # is never sent. */

export interface Operation {
  query: string;
  variables: string | null;
}

/** Return the operation that an address names, if it does; `?query=…`, as others link, counts too. */
export function linked(address: URL): Operation | null {
  for (const text of [address.hash.slice(1), address.search]) {
    const parameters = new URLSearchParams(text);
    const query = parameters.get("query");
    if (query) {
      return { query, variables: parameters.get("variables") };
    }
  }
  return null;
}

/** Return the address that opens an operation. */
export function linkTo(operation: Operation, page: URL): string {
  const parameters = new URLSearchParams({ query: operation.query });
  if (operation.variables?.trim()) {
    parameters.set("variables", operation.variables);
  }
  return new URL(`#${parameters}`, new URL(page.pathname, page)).href;
}
