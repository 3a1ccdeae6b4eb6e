// A list that loads more, as a Relay component declares it.
graphql`
  query EventListQuery {
    ...EventList_events
  }
`;

graphql`
  fragment EventList_events on Query
  @refetchable(queryName: "EventListPaginationQuery")
  @argumentDefinitions(
    count: { type: "Int", defaultValue: 2 }
    cursor: { type: "String" }
    where: { type: "EventFilter" }
  ) {
    events(where: $where, first: $count, after: $cursor)
      @connection(key: "EventList_events", filters: ["where"]) {
      totalCount
      edges {
        node {
          id
          ...EventList_event
        }
      }
    }
  }
`;

graphql`
  fragment EventList_event on Event {
    name
    time
    properties
  }
`;
