-- Reads for wrk: a random one of many paths each time. Arguments: a token and a file with a path a line.
local told = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "told.lua")
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
  told.result(summary, latency, "")
end
