// A certified provider of OpenID Connect, with people as `PEOPLE` describes them. It signs in whoever
// gives a name, and prints its issuer once it listens.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

// @ts-expect-error: it has no types
import { Provider } from "oidc-provider";

/** Claims of each person by the name that he signs in with. */
const people: Record<string, Record<string, unknown>> = JSON.parse(process.env.PEOPLE ?? "{}");
const { REDIRECT_URI, CLIENT_SECRET, PORT = "0" } = process.env;

const server = createServer((request, response) => handle(request, response));
let handle: ReturnType<Provider["callback"]>;
server.listen(Number(PORT), "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "analytics",
        redirect_uris: (REDIRECT_URI ?? "").split(" "),
        ...(CLIENT_SECRET ? { client_secret: CLIENT_SECRET } : { token_endpoint_auth_method: "none" }),
      },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
    conformIdTokenClaims: process.env.CLAIMS_IN === "userinfo",
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ ...people[id], sub: id }) }),
    cookies: { keys: ["a key of the tests"] },
    features: { devInteractions: { enabled: true } },
  });
  handle = provider.callback();
  console.log(`issuer ${issuer}`);
});
