-- Moves for wrk: each order is confirmed, and when all of them are, each is packed, and so on; a distinct
-- Idempotency-Key each. There have to be so many that none is delivered before the end.
-- Arguments: a token, a file with the id of a placed order a line, and how many threads share them.
local told = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "told.lua")
local counter, thread_number = 0, 0
local orders, token, prefix = {}, nil, nil
local way = { "confirmed", "packed", "shipped", "delivered" }

function setup(thread)
  thread:set("id", thread_number)
  thread_number = thread_number + 1
end

function init(args)
  token = args[1]
  local line_number = 0
  for line in io.lines(args[2]) do
    if line_number % tonumber(args[3]) == id then orders[#orders + 1] = line end
    line_number = line_number + 1
  end
  math.randomseed(os.time() + id * 7919)
  prefix = string.format("%x-%d-%x-", os.time(), id, math.random(0, 2147483647))
  -- The first thread is asked for a request that is looked at, and not sent.
  if id == 0 then counter = -1 end
end

function request()
  local turn, nth = math.floor(counter / #orders), counter % #orders
  counter = counter + 1
  return wrk.format("POST", "/v1/orders/" .. orders[nth + 1] .. "/transitions", {
    ["Authorization"] = "Bearer " .. token,
    ["Content-Type"] = "application/json",
    ["Idempotency-Key"] = prefix .. counter,
  }, string.format('{"to":"%s"}', way[turn + 1]))
end

function done(summary, latency)
  told.result(summary, latency, "")
end
