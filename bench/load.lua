-- Orders for wrk: three lines each, a distinct Idempotency-Key each. Arguments: whether every answer is looked at
-- ("look", or nothing), a token, and customer ids. Looking makes wrk parse headers, which the server's cores pay for.
local told = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "told.lua")
local counter, thread_number, threads = 0, 0, {}
local customers, token, prefix = {}, nil, nil

function setup(thread)
  thread:set("id", thread_number)
  thread_number = thread_number + 1
  table.insert(threads, thread)
end

function init(args)
  if args[1] == "look" then response = look end
  token = args[2]
  for n = 3, #args do customers[#customers + 1] = args[n] end
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

-- How they were answered: bare is a refusal that does not say when to come again.
placed, shed, bare, wrong = 0, 0, 0, 0
function look(status, headers)
  if status == 201 then
    placed = placed + 1
  elseif status == 503 then
    shed = shed + 1
    for name, _ in pairs(headers) do if name:lower() == "retry-after" then return end end
    bare = bare + 1
  else
    wrong = wrong + 1
  end
end

function done(summary, latency)
  local counts = { placed = 0, shed = 0, bare = 0, wrong = 0 }
  for _, thread in ipairs(threads) do
    for name, _ in pairs(counts) do counts[name] = counts[name] + thread:get(name) end
  end
  told.result(summary, latency, string.format(
    ',"placed":%d,"shed":%d,"bare":%d,"wrong":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"max_ms":%.3f',
    counts.placed, counts.shed, counts.bare, counts.wrong,
    summary.errors.connect, summary.errors.read, summary.errors.write, summary.errors.timeout, latency.max / 1e3))
end
