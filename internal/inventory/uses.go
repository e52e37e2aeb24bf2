package inventory

import (
	"time"

	"github.com/perceptor/perceptor/model"
)

// tagGoodFor is how long a tag that was resolved is good for containers that start: it may have been moved since.
const tagGoodFor = 10 * time.Minute

// resolveStep is the step of failures to find a manifest.
const resolveStep = "resolve"

// Use is one way in which containers name an image, and where it leads.
type Use struct {
	// Reference, Reported, Repository, Platform, Credential and HubNames are what the containers and their pods say.
	Reference  string          `json:"reference"`
	Reported   model.Digest    `json:"reported,omitempty"`
	Repository string          `json:"repository,omitempty"`
	Platform   model.Platform  `json:"platform,omitzero"`
	Credential string          `json:"credential,omitempty"`
	HubNames   *model.HubNames `json:"hubNames,omitempty"`
	// PlatformProblem is why the platform is not known, as the perceiver says.
	PlatformProblem string `json:"platformProblem,omitempty"`
	// Problem is why no registry can be asked, as the perceiver says. Such a use leads nowhere.
	Problem string `json:"problem,omitempty"`
	// Engine is the Docker Engine that alone has the image. Such a use leads to what is reported, and no registry is asked.
	Engine string `json:"engine,omitempty"`
	// Digest and Name are the manifest it leads to, once that is known; At is when it was found out.
	Digest model.Digest `json:"digest,omitempty"`
	Name   model.Name   `json:"name,omitzero"`
	At     time.Time    `json:"at,omitzero"`
	// Failure is why it is not known, and when it is tried again.
	Failure *model.Failure `json:"failure,omitempty"`

	// asked is set while the registry is being asked; slow after it was asked and has not answered soon.
	asked, slow bool
	// pods counts the containers of each pod that have this use.
	pods map[string]int
}

// useKey tells uses apart.
type useKey struct {
	reference, repository, credential, problem, platformProblem, engine string
	reported                                                            model.Digest
	platform                                                            model.Platform
	hubNames                                                            model.HubNames
}

func (u *Use) key() useKey {
	k := useKey{
		reference: u.Reference, repository: u.Repository, credential: u.Credential, reported: u.Reported, platform: u.Platform, problem: u.Problem,
		platformProblem: u.PlatformProblem, engine: u.Engine,
	}
	if u.HubNames != nil {
		k.hubNames = *u.HubNames
	}
	return k
}

func keyOf(p model.Pod, c model.Container) useKey {
	k := useKey{
		reference: c.Reference, repository: c.Repository, credential: p.Credential, reported: c.Digest, platform: p.Platform, problem: c.Problem,
		platformProblem: p.PlatformProblem, engine: c.Engine,
	}
	if c.HubNames != nil {
		k.hubNames = *c.HubNames
	}
	return k
}

// UseTable are the uses of the namespace.
type UseTable struct {
	// Uses are by number; NextUse is the next one.
	Uses    map[int]*Use `json:"uses,omitempty"`
	NextUse int          `json:"nextUse,omitempty"`

	// byKey finds the newest use of a key.
	byKey map[useKey]int
	// unresolved are the uses without a manifest.
	unresolved map[int]bool
	// useWeight is the weight of all uses.
	useWeight int
}

// useOf finds or makes the use of a container. A container that was here before keeps its use; a new one does not trust a tag
// that was resolved long ago.
func (t *UseTable) useOf(now time.Time, p model.Pod, c model.Container, known *Pod) int {
	key := keyOf(p, c)
	if known != nil {
		for _, had := range known.Containers {
			if had.Name == c.Name && t.Uses[had.Use].key() == key {
				return had.Use
			}
		}
	}
	if number, ok := t.byKey[key]; ok {
		use := t.Uses[number]
		if use.Reported != "" || use.Digest == "" || now.Sub(use.At) < tagGoodFor {
			return number
		}
	}
	made := &Use{
		Reference: c.Reference, Reported: c.Digest, Repository: c.Repository, Platform: p.Platform, Credential: p.Credential, HubNames: c.HubNames,
		PlatformProblem: p.PlatformProblem, Engine: c.Engine, pods: map[string]int{},
	}
	number := t.NextUse
	t.NextUse++
	t.Uses[number], t.byKey[key] = made, number
	if made.Problem = c.Problem; made.Problem == "" {
		t.unresolved[number] = true
	} else {
		made.Failure = &model.Failure{Class: model.Unsupported, Reason: made.Problem, Step: resolveStep, At: now, Attempt: 1}
	}
	t.useWeight += made.weight()
	return number
}

// dropUse deletes a use that no pod has any longer.
func (t *UseTable) dropUse(number int) {
	use := t.Uses[number]
	t.useWeight -= use.weight()
	delete(t.Uses, number)
	delete(t.unresolved, number)
	if t.byKey[use.key()] == number {
		delete(t.byKey, use.key())
	}
}

// sameUses reports whether a pod runs what is known of it already.
func (t *UseTable) sameUses(known *Pod, p model.Pod) bool {
	if known.Name != p.Name || known.Bare != p.Bare || len(known.Containers) != len(p.Containers) {
		return false
	}
	for i, c := range p.Containers {
		had := known.Containers[i]
		if had.Name != c.Name || had.Kind != c.Kind || t.Uses[had.Use].key() != keyOf(p, c) {
			return false
		}
	}
	return true
}

// Question is a use whose manifest is to be found.
type Question struct {
	Use        int
	Reference  string
	Reported   model.Digest
	Repository string
	Platform   model.Platform
	// PlatformProblem is why the platform is not known.
	PlatformProblem string
	Credential      string
}

// Questions are at most that many uses whose manifests are not known and that are due; they count as asked until answered. The
// questions that were not answered soon come by themselves, so that they hold up no other.
func (t *UseTable) Questions(now time.Time, atMost int, slow bool) []Question {
	var questions []Question
	for _, number := range sorted(t.unresolved) {
		use := t.Uses[number]
		if len(questions) == atMost {
			break
		}
		if use.asked || use.slow != slow || use.Failure != nil && now.Before(use.Failure.NextTry) {
			continue
		}
		use.asked = true
		questions = append(questions, Question{
			Use: number, Reference: use.Reference, Reported: use.Reported, Repository: use.Repository, Platform: use.Platform, Credential: use.Credential,
			PlatformProblem: use.PlatformProblem,
		})
	}
	return questions
}

// NotAnsweredSoon records that the registry of a use is still being asked.
func (t *UseTable) NotAnsweredSoon(number int) {
	if use := t.Uses[number]; use != nil {
		use.asked, use.slow = false, true
	}
}

// NextQuestion is when the next use is tried again; zero when none is waiting for that.
func (t *UseTable) NextQuestion() time.Time {
	var next time.Time
	for _, number := range sorted(t.unresolved) {
		use := t.Uses[number]
		if use.Failure != nil && (next.IsZero() || use.Failure.NextTry.Before(next)) {
			next = use.Failure.NextTry
		}
	}
	return next
}

// Answered records the manifest of a use, if the use is still there.
func (b *Book) Answered(now time.Time, number int, d model.Digest, name model.Name) {
	use := b.Uses[number]
	if use == nil || use.Digest != "" {
		return
	}
	use.asked, use.slow, use.Failure = false, false, nil
	use.Digest, use.Name, use.At = d, name, now
	delete(b.unresolved, number)
	if use.Name.Tag == "" {
		use.Name.Tag = tagOf(use.Reference)
	}
	b.addUse(use, number)
	b.counts = nil
	b.markDirtyAll(use)
}

// Unanswered records why the manifest of a use could not be found, and how long to wait before the next try.
func (b *Book) Unanswered(now time.Time, number int, class model.FailureClass, reason string, wait func(failures int) time.Duration) {
	use := b.Uses[number]
	if use == nil || use.Digest != "" {
		return
	}
	use.asked = false
	failure := &model.Failure{Class: class, Reason: clip(reason, reasonLength), Step: resolveStep, At: now, Attempt: 1}
	if use.Failure != nil {
		failure.Attempt = use.Failure.Attempt + 1
	}
	failure.NextTry = now.Add(wait(failure.Attempt))
	use.Failure = failure
	b.markDirtyAll(use)
}
