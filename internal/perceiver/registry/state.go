package registry

import (
	"github.com/perceptor/perceptor/model"
)

// tagsAtMost bounds the memory: about 1 KiB for each tag.
const tagsAtMost = 500_000

// reading is what the registry answered about one repository.
type reading struct {
	repository string
	// whole says that tags are all tags of the repository.
	whole bool
	// begun is when the reading began, by the perceiver's clock of readings: an older reading never undoes a newer one.
	begun int64
	// tags are the digests of tags. A tag without a digest is gone.
	tags map[string]model.Digest
}

// known is what is known of one tag.
type known struct {
	digest model.Digest
	// begun is that of the reading. A tag that is gone is kept with it until the next reading of the whole repository.
	begun int64
}

// state is what is known of the registry. It belongs to one goroutine.
type state struct {
	options Options
	tags    map[string]map[string]known
	pods    map[string]model.Pod
	// unread are repositories that the registry has and that could not be read yet.
	unread map[string]bool
	// most is how many tags are kept; leftOut says that there are more, and leftNow that there were more since the last walk began.
	most             int
	leftOut, leftNow bool
}

func newState(o Options) *state {
	return &state{options: o, tags: map[string]map[string]known{}, pods: map[string]model.Pod{}, unread: map[string]bool{}, most: tagsAtMost}
}

// apply takes a reading.
func (s *state) apply(r reading) {
	tags := s.tags[r.repository]
	if tags == nil {
		tags = map[string]known{}
		s.tags[r.repository] = tags
	}
	if r.whole { // first, to make room
		delete(s.unread, r.repository)
		for name, before := range tags {
			if _, is := r.tags[name]; !is && before.begun <= r.begun || before.digest == "" && before.begun < r.begun {
				delete(s.pods, uidOf(r.repository, name))
				delete(tags, name)
			}
		}
	}
	for name, digest := range r.tags {
		if tags[name].begun <= r.begun {
			s.set(r.repository, name, known{digest, r.begun})
		}
	}
	if len(tags) == 0 {
		delete(s.tags, r.repository)
	}
}

func (s *state) set(repository, tag string, now known) {
	uid := uidOf(repository, tag)
	switch {
	case now.digest == "":
		delete(s.pods, uid)
	case s.pods[uid].UID == "" && len(s.pods) >= s.most:
		s.leftOut, s.leftNow = true, true
		return
	default:
		s.pods[uid] = s.options.podOf(repository, tag, now.digest)
	}
	s.tags[repository][tag] = now
}

// fail notes that a repository could not be read.
func (s *state) fail(repository string) {
	if s.tags[repository] == nil {
		s.unread[repository] = true
	}
}

// walked notes that a walk has read everything.
func (s *state) walked() { s.leftOut, s.leftNow = s.leftNow, false }

// partial reports whether the registry has something that is not known.
func (s *state) partial() bool { return len(s.unread) > 0 || s.leftOut }
