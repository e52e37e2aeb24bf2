package api

import (
	"errors"

	"github.com/perceptor/perceptor/model"
)

// maxDomain is the length of the name of a domain, in bytes.
const maxDomain = 63

// checkDomain says what is wrong with the name of a set of scanners, which is a part of queues' names.
func checkDomain(name string) error { return model.CheckName("domain", name, maxDomain) }

// checkPod says what is wrong with a pod that was reported, and where; nil when nothing is.
func checkPod(p model.Pod) error {
	if p.Bare && (len(p.Containers) != 1 || p.Containers[0].Digest == "") {
		return errors.New("an image by itself has one container, with a digest")
	}
	return p.Check()
}

// checkKey says what is wrong with the key of a pod.
func checkKey(k model.PodKey) error { return k.Check() }
