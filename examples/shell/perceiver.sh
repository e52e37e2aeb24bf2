#!/bin/sh
# A perceiver in 60 lines, to be copied. It reports what a command lists, and keeps a file with the verdicts:
#
#   PERCEPTOR_URL=https://perceptor.example PERCEPTOR_TOKEN_FILE=token ./perceiver.sh \
#       podman ps --format '{{or .Labels.project "default"}} {{.Names}} {{.Image}}'
#
# The command prints one line for each thing that runs: namespace, name, image. It needs curl and jq. CURL_CA_BUNDLE names the
# certificate of the API's issuer. The token has the scope perceiver; it decides which cluster is reported.
set -u
url=${PERCEPTOR_URL:?} every=${EVERY:-5} snapshots=${SNAPSHOT_EVERY:-1800} verdicts=${VERDICTS:-verdicts.tsv}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT && trap 'exit 143' INT TERM
# In a file: other users of the machine could see a token among the arguments of curl.
(umask 077 && printf 'Authorization: Bearer %s\n' "$(cat "${PERCEPTOR_TOKEN_FILE:?}")" >"$work/header") || exit 1

say() { echo "perceiver: $*" >&2; }
ask() { curl --silent --show-error --fail-with-body --max-time 60 --header "@$work/header" "$@"; }

# A line without three words is a list that cannot be trusted: nothing is reported then. A platform with IDs of its own gives them as
# the UID, so that a pod differs from an earlier one of its name.
pods_of() {
	jq -Rn '[inputs | select(. != "") | split(" ") | if length < 3 then error("want NAMESPACE NAME IMAGE: \(.)") else . end
		| {uid: "\(.[0])/\(.[1])", namespace: .[0], name: .[1], containers: [{name: "main", reference: .[2]}]}]'
}

# A snapshot names everything: what it does not name has ended. Pods that are refused are named, and the others count.
report() {
	pods_of <"$1" >"$work/pods" && jq '{snapshot: true, pods: .}' "$work/pods" >"$work/report" || return 1
	ask --header 'Content-Type: application/json' --data-binary "@$work/report" "$url/api/v1/reports" >"$work/answer" || {
		say "the report was not taken; it is sent again: $(cat "$work/answer" 2>/dev/null)"
		return 1
	}
	jq -r '.rejected[]? | "perceiver: refused: \(.name): \(.reason)"' "$work/answer" >&2
}

# The verdicts of the cluster, page after page. UNKNOWN is everything that is not judged yet, or not sufficiently. The old file stays
# until all pages are there.
read_verdicts() {
	cursor='' && : >"$work/verdicts"
	while :; do
		ask --get --data limit=1000 --data-urlencode "cursor=$cursor" "$url/api/v1/pods" >"$work/page" || return 1
		jq -r '.pods[] | [.namespace, .name, .overallStatus, .status, .policyViolations] | @tsv' "$work/page" >>"$work/verdicts" || return 1
		cursor=$(jq -r '.next // ""' "$work/page")
		[ -n "$cursor" ] || break
	done
	cp "$work/verdicts" "$verdicts.new" && mv "$verdicts.new" "$verdicts"
}

due=0
: >"$work/reported"
while :; do
	if ! "$@" >"$work/list"; then
		say "what runs cannot be listed; nothing is reported, because what cannot be read has not ended"
	elif [ "$(date +%s)" -ge "$due" ] || ! cmp -s "$work/list" "$work/reported"; then
		due=0
		if report "$work/list"; then cp "$work/list" "$work/reported" && due=$(($(date +%s) + snapshots)); fi
	fi
	read_verdicts 2>/dev/null || say "the verdicts cannot be read; $verdicts may be old"
	sleep "$every"
done
