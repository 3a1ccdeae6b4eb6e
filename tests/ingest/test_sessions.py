"""Sessions of events: recorded and listed by both APIs."""

from tests.harness.apis import EVENTS as RECORD
from tests.harness.apis import ask, delete_all, get, record
from tests.harness.service import Service


async def test_sessions_on_both_apis(service: Service) -> None:
    """A session comes back as it was sent; REST shows it only where there is one."""
    await delete_all(service)
    await record(service, "/events", {"event_name": "rest", "session_id": "s1", "timestamp": 1})
    single = {"event_name": "single", "session_id": "s1", "timestamp": 10**11}
    assert (await service.post("/events", single)).status_code == 200
    await ask(service, RECORD, rows=[{"name": "graphql", "sessionId": "s2"}])
    await record(service, "/events", {"event_name": "none", "session_id": None, "timestamp": 0})
    expected = {"graphql": "s2", "single": "s1", "rest": "s1", "none": None}
    data = await ask(service, "{events {nodes {name sessionId}}}")
    assert {node["name"]: node["sessionId"] for node in data["events"]["nodes"]} == expected
    events = (await get(service, "/events"))["events"]
    assert {event["event_name"]: event.get("session_id") for event in events} == expected
    assert ["session_id" in event for event in events] == [True, True, True, False]
