// A metric that is asked for again by its id. What a @oneOf input takes must not be null.
graphql`
  fragment MetricRefetch_metric on Metric
  @refetchable(queryName: "MetricRefetchQuery")
  @argumentDefinitions(last: { type: "Duration!" }) {
    name
    query(range: { last: $last }) {
      series {
        total {
          count
        }
      }
    }
  }
`;
