from tests.service import Service


async def test_recorded_metric_is_in_the_next_answer(service: Service) -> None:
    """What was acknowledged is in the next answer."""
    posted = await service.post("/metrics", {"metric_name": "smoke", "value": 1})
    assert posted.status_code == 200
    assert (await service.http.get("/metrics/smoke")).json()["count"] == 1
