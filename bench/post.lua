-- wrk script: POST prepared bodies in turn, then print one line of totals for bench/load.py.
-- Arguments after the URL: content type, then one file per body.

local requests = {}
local turn = 0

function init(args)
   local headers = { ["Content-Type"] = args[1] }
   for i = 2, #args do
      local file = assert(io.open(args[i], "rb"))
      requests[#requests + 1] = wrk.format("POST", nil, headers, file:read("*a"))
      file:close()
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      'TOTALS {"answered": %d, "refused": %d, "broken": %d, "late": %d, ' ..
      '"seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f}\n',
      summary.requests, errors.status, errors.connect + errors.read + errors.write,
      errors.timeout, summary.duration / 1e6,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
