package inventory

import (
	"slices"

	"github.com/perceptor/perceptor/model"
)

// ForgetVersions forgets how new the reports were that the book knows: the next report counts, whatever its version. With a limit it
// forgets only versions after that time, in nanoseconds since 1970: none of them can be right. What the reports said stays. It reports
// whether anything was forgotten.
func ForgetVersions(b *Book, after int64) bool {
	forgotten := false
	forget := func(v *model.Version) {
		if v.Epoch > after || after == 0 && *v != (model.Version{}) {
			*v, forgotten = model.Version{}, true
		}
	}
	forget(&b.Snapshot)
	forget(&b.Settings.Version)
	for _, uid := range sorted(b.Pods) {
		forget(&b.Pods[uid].Version)
	}
	for _, versions := range []map[string]model.Version{b.Gone, b.GoneNames} {
		for _, key := range sorted(versions) {
			v := versions[key]
			if forget(&v); v == (model.Version{}) {
				delete(versions, key)
			}
		}
	}
	for _, uid := range sorted(b.Refused) {
		v := b.Refused[uid]
		forget(&v)
		b.Refused[uid] = v
	}
	b.Arriving = slices.DeleteFunc(b.Arriving, func(a Arriving) bool {
		forget(&a.Version)
		return a.Version == model.Version{}
	})
	return forgotten
}

// IsAhead reports whether the last snapshot or the settings are of a time that is still to come, so that no report would count.
func IsAhead(b *Book, latest int64) bool {
	return b.Snapshot.Epoch > latest || b.Settings.Version.Epoch > latest
}
