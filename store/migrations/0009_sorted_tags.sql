-- Equal tags become equal strings: sorted by the UTF-8 bytes of their keys, '' for none. Until now
-- tags were in the order of the request. A part with only sorted tags is not rewritten. The first
-- conditions exclude most rows without a regular expression, which takes ten times as long: rows
-- with at most one tag, and rows whose pairs `key":"value` are in order. That order can differ from
-- the order of keys if a key has a character that sorts before the quote, or a string has quotes or
-- commas. Such rows go to the regular expression.
ALTER TABLE metrics UPDATE tags = if(tags IN ('', '{}'), '', concat('{', arrayStringConcat(
    arraySort(tag -> replaceRegexpAll(extract(tag, '^"((?:[^"\\\\]|\\\\.)*)"'), '\\\\(.)', '\\1'), extractAll(tags, '"(?:[^"\\\\]|\\\\.)*":"(?:[^"\\\\]|\\\\.)*"')), ','), '}'))
WHERE tags = '{}' OR (
    position(tags, '","') > 0
    AND (
        multiSearchAny(tags, ['\\', ' ', '!', ':","', '",":'])
        OR arraySort(splitByString('","', substring(tags, 3)))
            != splitByString('","', substring(tags, 3))
    )
    AND tags != if(tags IN ('', '{}'), '', concat('{', arrayStringConcat(
    arraySort(tag -> replaceRegexpAll(extract(tag, '^"((?:[^"\\\\]|\\\\.)*)"'), '\\\\(.)', '\\1'), extractAll(tags, '"(?:[^"\\\\]|\\\\.)*":"(?:[^"\\\\]|\\\\.)*"')), ','), '}'))
)
SETTINGS mutations_sync = 2;
