-- The engine ignores failed writes and may commit a damaged merge. The parts that it replaced then
-- are the only whole ones (`store/failed_writes.py`). They stay for 30 seconds, and a table opens
-- however many parts are damaged.
ALTER TABLE metrics MODIFY SETTING old_parts_lifetime = 30, max_suspicious_broken_parts = 1000000,
    max_suspicious_broken_parts_bytes = 1000000000000000;

ALTER TABLE events MODIFY SETTING old_parts_lifetime = 30, max_suspicious_broken_parts = 1000000,
    max_suspicious_broken_parts_bytes = 1000000000000000;

ALTER TABLE metric_descriptions MODIFY SETTING old_parts_lifetime = 30, max_suspicious_broken_parts = 1000000,
    max_suspicious_broken_parts_bytes = 1000000000000000;

ALTER TABLE migrations MODIFY SETTING old_parts_lifetime = 30, max_suspicious_broken_parts = 1000000,
    max_suspicious_broken_parts_bytes = 1000000000000000;

-- Up to ten parts of a size wait for their merge, not five: a row is merged half as often.
ALTER TABLE metrics MODIFY SETTING merge_selector_base = 10;

ALTER TABLE events MODIFY SETTING merge_selector_base = 10;
