package api

import (
	"errors"

	"github.com/perceptor/perceptor/model"
)

// maxDomain is the longest name of a domain, in bytes.
const maxDomain = 63

// CheckDomain says what is wrong with the name of a set of scanners, which becomes a part of the names of queues.
func CheckDomain(name string) error { return model.CheckName("domain", name, maxDomain) }

// CheckPod says what is wrong with a reported pod; nil means that it can be stored. A bare image needs its digest here.
func CheckPod(p model.Pod) error {
	if p.Bare && (len(p.Containers) != 1 || p.Containers[0].Digest == "") {
		return errors.New("an image by itself has one container, with a digest")
	}
	return p.Check()
}

// CheckKey says what is wrong with the key of a pod; nil means that it can be stored.
func CheckKey(k model.PodKey) error { return k.Check() }
