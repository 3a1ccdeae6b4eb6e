// Clients that follow the overview through a restart of the service: a line for each count.
import { createClient as createStreamClient } from "graphql-sse";
import { createClient } from "graphql-ws";

const url = `${process.env.SERVICE}/graphql`;
const query = 'subscription {overviewChanged(throttle: "PT0.1S") {eventCount}}';
const retries = { retryAttempts: 60, retryWait: () => new Promise<void>((done) => setTimeout(done, 500)) };
const clients = {
  // Without `shouldRetry`, a port that refuses is an error at once.
  ws: createClient({ url: url.replace(/^http/, "ws"), shouldRetry: () => true, ...retries }),
  sse: createStreamClient({ url, ...retries }),
  single: createStreamClient({ url, singleConnection: true, ...retries }),
};

interface Overview {
  overviewChanged: { eventCount: number };
}

await Promise.all(
  Object.entries(clients).map(async ([name, client]) => {
    for await (const { data } of client.iterate<Overview>({ query })) {
      const count = data?.overviewChanged.eventCount;
      console.log(`${name} ${count}`);
      if (count === 2) break;
    }
    client.dispose();
  }),
);
