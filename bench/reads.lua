-- Reads for wrk: a random one of many paths each time. Arguments: a token and a file with a path a line.
local requests, thread_number = {}, 0

function setup(thread)
  thread:set("id", thread_number)
  thread_number = thread_number + 1
end

function init(args)
  math.randomseed(os.time() + id * 7919)
  local headers = { ["Authorization"] = "Bearer " .. args[1] }
  for path in io.lines(args[2]) do requests[#requests + 1] = wrk.format("GET", path, headers) end
end

function request()
  return requests[math.random(#requests)]
end

function done(summary, latency)
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"errors":%d,"p50_ms":%.3f,"p99_ms":%.3f}\n',
    summary.requests, summary.duration / 1e6,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
