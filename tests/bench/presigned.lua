-- Sends one method to the presigned paths of a file, each once if asked for, and tells what happened as one line of JSON.
-- wrk … -s presigned.lua URL -- METHOD PATHS BODY-FILE|- once|again
local ffi = require("ffi")
ffi.cdef("struct now { long seconds, micros; }; int gettimeofday(struct now *, void *);")
local paths, made, threads, at, once, method, body = {}, {}, {}, 0, false, "GET", nil

local function now()
  local time = ffi.new("struct now")
  ffi.C.gettimeofday(time, nil)
  return tonumber(time.seconds) * 1e6 + tonumber(time.micros)
end

function setup(thread) threads[#threads + 1] = thread end

function init(args)
  method, once = args[1], args[4] == "once"
  for path in io.lines(args[2]) do
    -- wrk asks for one request that it doesn't send.
    paths[#paths + 1] = path
    if #paths == 1 then paths[2] = path end
  end
  if args[3] ~= "-" then
    local file = assert(io.open(args[3], "rb"))
    body = file:read("*a")
    file:close()
  end
end

function request()
  at = at + 1
  began = began or now()
  if at > #paths then
    if once and not took then
      took = now() - began
      wrk.thread:stop()
    end
    at = 1
  end
  if #paths > 64 then return wrk.format(method, paths[at], nil, body) end
  -- Few and perhaps large: put together once.
  made[at] = made[at] or wrk.format(method, paths[at], nil, body)
  return made[at]
end

function done(summary, latency)
  local errors = summary.errors
  -- wrk itself waits for the end of its time also when nothing is left to send.
  local took = threads[1]:get("took") or summary.duration
  io.write(string.format(
    'RESULT {"requests":%d,"micros":%d,"p50":%d,"p99":%d,"failed":%d,"what":"%d connect, %d read, %d write, %d status, %d timeout"}\n', summary.requests, took,
    latency:percentile(50), latency:percentile(99), errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
