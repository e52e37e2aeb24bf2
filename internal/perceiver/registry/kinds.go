package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

// Kind is a product that sends events.
type Kind string

// The kinds.
const (
	Distribution Kind = "distribution"
	Harbor       Kind = "harbor"
	Quay         Kind = "quay"
	Artifactory  Kind = "artifactory"
)

// product is what is particular to a kind.
type product struct {
	read func(body []byte) (message, error)
	// insists says that it sends an event again for ever, and no other one meanwhile, until the answer is 2xx.
	insists bool
}

var products = map[Kind]product{
	Distribution: {readDistribution, true},
	Harbor:       {readHarbor, false},
	Quay:         {readQuay, false},
	Artifactory:  {readArtifactory, false},
}

func (k Kind) known() bool { _, is := products[k]; return is }

func kindNames() string {
	names := make([]string, 0, len(products))
	for _, each := range slices.Sorted(maps.Keys(products)) {
		names = append(names, string(each))
	}
	return strings.Join(names, ", ")
}

// placesAtMost bounds what one message may have read. Products send one event in a message.
const placesAtMost = 1000

// place is where an event says that something has changed.
type place struct {
	repository string
	// tag is empty where any of the repository may have changed.
	tag string
	// digest is where the tag leads, by the event; empty where the event does not say. It is never reported: an event may come before
	// the tag has moved, and this says whether to look again.
	digest model.Digest
}

// message is what was sent.
type message struct {
	places []place
	// ids are what the sender calls its events, where it does.
	ids []string
	// ignored counts events that change no tag, such as pulls.
	ignored int
	// unknown are events that are not understood, in the sender's words. The next walk finds what they were about.
	unknown []string
	// walk says that much may have changed.
	walk bool
}

// errForm says that a body is not a message of the product.
var errForm = errors.New("not a message of this product")

// decode reads a body into a form.
func decode(body []byte, form any) error {
	if err := json.Unmarshal(body, form); err != nil {
		return fmt.Errorf("%w: %s", errForm, clip(err.Error()))
	}
	return nil
}

// changed adds a place. What cannot be a name is an unknown event.
func (m *message) changed(what, repository, tag, digest string) {
	switch {
	case !isRepository(repository) || tag != "" && !tagForm.MatchString(tag):
		m.unknown = append(m.unknown, what+" of "+clip(repository+":"+tag))
	case tag != "" && !isImageTag(tag):
		m.ignored++
	default:
		expected, _ := model.ParseDigest(digest)
		m.places = append(m.places, place{repository, tag, expected})
	}
}

// strange adds an event that is not understood.
func (m *message) strange(what string) { m.unknown = append(m.unknown, clip(what)) }

// clip cuts a sender's words for a log.
func clip(text string) string { return perceiver.Clip(text, 200) }
