-- What a script of wrk tells in the end: a line of JSON, and `more` members: none is "", others begin with a comma.
local told = {}

function told.result(summary, latency, more)
  local wrong = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"errors":%d,"p50_ms":%.3f,"p99_ms":%.3f%s}\n',
    summary.requests, summary.duration / 1e6,
    wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, more))
end

return told
