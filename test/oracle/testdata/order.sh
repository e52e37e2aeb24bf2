# Reads pairs of versions, one pair a line with a tab between, and writes <, = or > as dpkg orders them, ? where it refuses one.
while IFS='	' read -r a b; do
	if said=$(dpkg --compare-versions "$a" lt "$b" 2>&1); then answer='<'
	elif dpkg --compare-versions "$a" eq "$b" 2>/dev/null; then answer='='
	else answer='>'; fi
	[ -z "$said" ] || answer='?'
	echo "$answer"
done
