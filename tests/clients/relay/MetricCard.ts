// A mutation, and a query with arguments for its fragment.
graphql`
  query MetricCardQuery($name: String!, $last: Duration!, $brief: Boolean!) {
    metric(name: $name) {
      ...MetricCard_metric @arguments(last: $last, brief: $brief)
    }
  }
`;

graphql`
  fragment MetricCard_metric on Metric
  @argumentDefinitions(last: { type: "Duration!" }, brief: { type: "Boolean!" }) {
    name
    query(range: { last: $last }) {
      series {
        total {
          count
          average: avg @skip(if: $brief)
        }
      }
    }
  }
`;

graphql`
  mutation MetricCardMutation($metrics: [MetricInput!]!) {
    recordMetrics(input: { metrics: $metrics }) {
      accepted
    }
  }
`;
