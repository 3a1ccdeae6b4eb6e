// The audits of graphql-http on the service: one line of JSON each, with the reason of a failure.
import { serverAudits } from "graphql-http";

const url = `${process.env.SERVICE}/graphql`;
const headers: Record<string, string> = process.env.KEY
  ? { authorization: `Bearer ${process.env.KEY}` }
  : {};

const fetchWithKey: typeof fetch = (input, init) =>
  fetch(input, { ...init, headers: { ...init?.headers, ...headers } });

for (const audit of serverAudits({ url, fetchFn: fetchWithKey })) {
  const result = await audit.fn();
  const reason = "reason" in result ? result.reason : null;
  console.log(JSON.stringify({ id: audit.id, name: audit.name, status: result.status, reason }));
}
