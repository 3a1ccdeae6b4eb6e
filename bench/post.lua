-- Script for wrk: it posts prepared bodies in turn, and prints one line of totals for load.py.
-- Arguments after the URL: the settings in the order of init(), then one file for each body.
--
-- Every request replaces the placeholders of its body, so that no two rows are the same.
-- placeholders.py has their list:
--   20 x "@"  an id
--   13 x "#"  a time scattered over the last hour, in milliseconds
--   23 x "~"  the same time in RFC 3339, without its offset
--   13 x "%"  a time that rises through the hour before the last hour
-- The n-th placeholder of a kind belongs to the n-th row of the body. LuaJIT compiles the
-- replacement, which costs 10 to 40 ns per row.

local ffi = require("ffi")
local bit = require("bit")

ffi.cdef[[
   struct bench_time { long s; long us; };
   int gettimeofday(struct bench_time *, void *);
]]

local HOUR = 3600000     -- milliseconds
local STRIDE = 1299709   -- a prime: its multiples reach every millisecond of the hour once

local settings = {}
local requests = {}
local request_number = 0
local slot, last_slot    -- times of the next request and of the last possible request
local acknowledged, progress_time = 0, 0
local threads = {}

row = 0                  -- number of the next row; global, because done() reads it

local clock = ffi.new("struct bench_time")
local function now()
   ffi.C.gettimeofday(clock, nil)
   return tonumber(clock.s) + tonumber(clock.us) / 1e6
end

local hex = ffi.new("uint16_t[256]")
for n = 0, 255 do
   ffi.copy(hex + n, string.format("%02x", n), 2)
end

local word = ffi.new("union { uint64_t all; uint8_t bytes[8]; }")

-- Write 16 hex digits by splitmix64, which maps each number to a different value. Then repeat 4
-- of the digits. `state` is the number times STEP.
local STEP = 0x9E3779B97F4A7C15ULL
local function put_id(at, state)
   local z = bit.bxor(state, bit.rshift(state, 30)) * 0xBF58476D1CE4E5B9ULL
   z = bit.bxor(z, bit.rshift(z, 27)) * 0x94D049BB133111EBULL
   word.all = bit.bxor(z, bit.rshift(z, 31))
   local out, bytes = ffi.cast("uint16_t *", at), word.bytes
   out[0], out[1], out[2], out[3] = hex[bytes[0]], hex[bytes[1]], hex[bytes[2]], hex[bytes[3]]
   out[4], out[5], out[6], out[7] = hex[bytes[4]], hex[bytes[5]], hex[bytes[6]], hex[bytes[7]]
   out[8], out[9] = hex[bytes[3]], hex[bytes[5]]
end

local decimal = ffi.new("uint8_t[3000]")
for n = 0, 999 do
   ffi.copy(decimal + 3 * n, string.format("%03d", n), 3)
end

local time_text, time_ms = ffi.new("uint8_t[13]"), 0
local function put_time(at, ms)
   if ms ~= time_ms then
      time_ms = ms
      for group = 10, 1, -3 do
         local rest = math.floor(ms / 1000)
         ffi.copy(time_text + group, decimal + 3 * (ms - rest * 1000), 3)
         ms = rest
      end
      time_text[0] = 48 + ms
   end
   ffi.copy(at, time_text, 13)
end

local MINUTE = 60000
local minute_texts, first_minute   -- "2026-06-17T15:20:" for each minute of the hour before now
local function prepare_minutes()
   first_minute = math.floor((settings.now - HOUR) / MINUTE)
   local texts = {}
   for minute = first_minute, math.floor(settings.now / MINUTE) do
      texts[#texts + 1] = os.date("!%Y-%m-%dT%H:%M:", minute * 60)
   end
   minute_texts = table.concat(texts)
   minute_texts = ffi.new("uint8_t[?]", #minute_texts, minute_texts)
end

local date_text, date_ms = ffi.new("uint8_t[23]"), 0
local function put_date(at, ms)
   if ms ~= date_ms then
      date_ms = ms
      local minute = math.floor(ms / MINUTE)
      local rest = ms - minute * MINUTE
      local second = math.floor(rest / 1000)
      ffi.copy(date_text, minute_texts + 17 * (minute - first_minute), 17)
      ffi.copy(date_text + 17, decimal + 3 * second + 1, 2)
      date_text[19] = 46   -- the point
      ffi.copy(date_text + 20, decimal + 3 * (rest - second * 1000), 3)
   end
   ffi.copy(at, date_text, 23)
end

local function scattered_time(n)
   return settings.now - math.floor(n / settings.interleaved_rows) % HOUR * STRIDE % HOUR
end

local function rising_time(n)
   return settings.now - 2 * HOUR + math.floor(n / settings.interleaved_rows) % HOUR
end

local function placeholder_offsets(text, mark)
   local offsets, from = {}, 1
   while true do
      local at = text:find(mark, from, true)
      if not at then
         return ffi.new("int32_t[?]", #offsets, offsets), #offsets
      end
      offsets[#offsets + 1] = at - 1
      from = at + #mark
   end
end

local function prepare_request(text)
   local template = { text = text }
   template.ids, template.id_count = placeholder_offsets(text, ("@"):rep(20))
   template.scattered, template.scattered_count = placeholder_offsets(text, ("#"):rep(13))
   template.dates, template.date_count = placeholder_offsets(text, ("~"):rep(23))
   template.rising, template.rising_count = placeholder_offsets(text, ("%"):rep(13))
   template.rows = math.max(
      template.id_count, template.scattered_count, template.date_count, template.rising_count)
   -- request() changes the string in place, although strings of Lua are immutable. wrk copies it
   -- immediately. A new string per request, up to a megabyte, costs more than all other steps.
   template.buffer = ffi.cast("uint8_t *", text)
   return template
end

function setup(thread)
   threads[#threads + 1] = thread
end

function init(args)
   settings.content_type = args[1]
   settings.rate = tonumber(args[2])               -- requests per second; 0: no schedule
   settings.sending_seconds = tonumber(args[3])    -- sending time of a paced run
   settings.progress_interval = tonumber(args[4])  -- seconds between progress lines; 0: none
   settings.now = tonumber(args[5])                -- milliseconds
   settings.interleaved_rows = tonumber(args[6])   -- consecutive rows that share a time
   row = tonumber(args[7])
   prepare_minutes()
   local headers = { ["Content-Type"] = settings.content_type }
   if args[8] ~= "" then
      headers["Authorization"] = "Bearer " .. args[8]
   end
   for i = 9, #args do
      local file = assert(io.open(args[i], "rb"))
      requests[#requests + 1] = prepare_request(wrk.format("POST", nil, headers, file:read("*a")))
      file:close()
   end
   if settings.rate > 0 then
      delay = wait_for_slot
   end
   if settings.progress_interval > 0 then
      response = print_progress
   end
end

function request()
   request_number = request_number % #requests + 1
   local template = requests[request_number]
   local buffer, first = template.buffer, row
   local state = (first + 0ULL) * STEP
   for i = 0, template.id_count - 1 do
      put_id(buffer + template.ids[i], state)
      state = state + STEP
   end
   for i = 0, template.scattered_count - 1 do
      put_time(buffer + template.scattered[i], scattered_time(first + i))
   end
   for i = 0, template.date_count - 1 do
      put_date(buffer + template.dates[i], scattered_time(first + i))
   end
   for i = 0, template.rising_count - 1 do
      put_time(buffer + template.rising[i], rising_time(first + i))
   end
   row = first + template.rows
   return template.text
end

-- Return the milliseconds until the next request is due. All connections share one schedule.
-- Requests that a slow response delayed follow immediately.
function wait_for_slot()
   local time = now()
   slot = (slot or time) + 1 / settings.rate
   last_slot = last_slot or time + settings.sending_seconds
   if math.max(slot, time) > last_slot then
      return 1e8
   end
   return math.max(0, math.floor((slot - time) * 1000 + 0.5))
end

function print_progress(status)
   if status == 200 then
      acknowledged = acknowledged + 1
   end
   local time = now()
   if time - progress_time >= settings.progress_interval then
      progress_time = time
      io.write(string.format("PROGRESS %d\n", acknowledged))
      io.flush()
   end
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      'TOTALS {"responses": %d, "failures": %d, "broken_connections": %d, "late_responses": %d, ' ..
      '"seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "next_row": %.0f}\n',
      summary.requests, errors.status, errors.connect + errors.read + errors.write,
      errors.timeout, summary.duration / 1e6,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, threads[1]:get("row")))
end
