local answers = {[-1] = "<", [0] = "=", [1] = ">"}
for line in io.lines("/dev/stdin") do
	local a, b = line:match("^(.-)\t(.*)$")
	local read, order = pcall(rpm.vercmp, a, b)
	io.write(read and answers[order] or "?", "\n")
end
