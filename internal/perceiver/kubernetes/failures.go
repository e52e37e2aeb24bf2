package kubernetes

import (
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/perceptor/perceptor/model"
)

// reasonLength is how much of an API server's refusal is kept.
const reasonLength = 300

func failureOf(pod model.PodKey, err error) model.WriteFailure {
	return model.WriteFailure{Pod: pod, Class: classOf(err), Reason: clip(err.Error(), reasonLength)}
}

// classOf says whether waiting can help. What the API server did not answer at all passes.
func classOf(err error) model.FailureClass {
	switch {
	case errors.Is(err, errNoPod), apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return model.Invalid
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return model.Unauthorized
	case apierrors.IsTooManyRequests(err):
		return model.Throttled
	case apierrors.IsNotFound(err):
		return model.NotFound
	default:
		return model.Transient
	}
}

// isGone reports whether an error says that there is no pod with this UID: none of that name, or another one. To the API
// server the latter is an attempt to change the UID.
func isGone(err error) bool {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return true
	}
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(status.Status().Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" })
}
