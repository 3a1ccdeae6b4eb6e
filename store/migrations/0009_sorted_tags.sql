-- One text for equal tags: sorted by the UTF-8 bytes of their keys, '' for none. Until now tags
-- stood in the order in which they were sent. A part in which all are sorted is left as it is.
-- The conditions leave out most rows without a regular expression, which takes ten times as long:
-- one tag at most; or `key":"value` in order, which a character before the quote, or a text with
-- quotes or commas in it, could make the wrong order.
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
