$stdin.each_line(chomp: true) do |line|
  a, b = line.split("\t")
  readable = [a, b].all? { |text| Gem::Version.correct?(text) }
  puts(readable ? ["=", ">", "<"][Gem::Version.new(a) <=> Gem::Version.new(b)] : "?")
end
