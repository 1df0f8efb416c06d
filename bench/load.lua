-- Orders for wrk: three lines each, a distinct Idempotency-Key each. Arguments: a token and customer ids.
local counter, thread_number = 0, 0
local customers, token, prefix = {}, nil, nil

function setup(thread)
  thread:set("id", thread_number)
  thread_number = thread_number + 1
end

function init(args)
  token = args[1]
  for n = 2, #args do customers[#customers + 1] = args[n] end
  math.randomseed(os.time() + id * 7919)
  prefix = string.format("%x-%d-%x-", os.time(), id, math.random(0, 2147483647))
end

function request()
  counter = counter + 1
  local body = string.format(
    '{"customer_id":"%s","currency":"EUR","lines":[' ..
    '{"sku":"SKU-0001","description":"Tea, loose","quantity":%d,"unit_price":"19.99"},' ..
    '{"sku":"SKU-0002","description":"Milk","quantity":3,"unit_price":"19.99"},' ..
    '{"sku":"SKU-0003","description":"Rice","quantity":3,"unit_price":"19.99"}]}',
    customers[math.random(#customers)], math.random(1, 9))
  return wrk.format("POST", "/v1/orders", {
    ["Authorization"] = "Bearer " .. token,
    ["Content-Type"] = "application/json",
    ["Idempotency-Key"] = prefix .. counter,
  }, body)
end

local wrong = 0
function response(status)
  if status ~= 201 then wrong = wrong + 1 end
end

function done(summary, latency)
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"errors":%d,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f}\n',
    summary.requests, summary.duration / 1e6,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
