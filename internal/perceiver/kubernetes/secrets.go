package kubernetes

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	authnkubernetes "github.com/google/go-containerregistry/pkg/authn/kubernetes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/perceptor/perceptor/model"
)

// Secrets reads the pull secrets that pods were reported with, for scanners that may read them. They are read at each pull,
// so that a rotated one counts at once, and kept nowhere. Programs that a docker configuration may name to ask for a login
// are not run: the content of a secret comes from anyone who may write to the namespace.
type Secrets struct {
	client Client
}

// NewSecrets reads through a client.
func NewSecrets(c Client) *Secrets { return &Secrets{client: c} }

// Keychain is the logins behind a credential, whose name is that of a report: "kubernetes:NAMESPACE/SECRET,SECRET". Secrets
// that are not there are passed over, as a kubelet does. The error's class says whether asking again can help.
func (s *Secrets) Keychain(ctx context.Context, credential string) (authn.Keychain, error) {
	path, ours := strings.CutPrefix(credential, secretsPrefix)
	namespace, names, whole := strings.Cut(path, "/")
	if !ours || !whole {
		return nil, &SecretError{class: model.Unauthorized, reason: fmt.Sprintf("there is no credential %q on this host", credential)}
	}
	var found []corev1.Secret
	for name := range strings.SplitSeq(names, ",") {
		secret, err := s.client.Secret(ctx, namespace, name)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, &SecretError{class: classOf(err), reason: fmt.Sprintf("pull secret %s/%s cannot be read: %s", namespace, name, clip(err.Error(), reasonLength))}
		default:
			found = append(found, *secret)
		}
	}
	keychain, err := authnkubernetes.NewFromPullSecrets(ctx, found)
	if err != nil {
		// The parser's words may quote what it could not read.
		return nil, &SecretError{class: model.Unauthorized, reason: fmt.Sprintf("the pull secrets %s/%s are no valid docker configuration", namespace, names)}
	}
	return keychain, nil
}

// MayName says why pods may not name a credential: secrets of another cluster, or of another namespace than theirs. From is
// "cluster/namespace" of the pods; a cluster alone, or nothing, is an operator.
func MayName(cluster, credential, from string) error {
	path, ours := strings.CutPrefix(credential, secretsPrefix)
	namespace, _, whole := strings.Cut(path, "/")
	fromCluster, fromNamespace, isPod := strings.Cut(from, "/")
	switch {
	case !ours || !whole:
		return &SecretError{class: model.Unauthorized, reason: "it names no pull secret"}
	case from != "" && fromCluster != cluster:
		return &SecretError{class: model.Unauthorized, reason: "the pods are in cluster " + fromCluster + ", the secret is in " + cluster}
	case isPod && fromNamespace != namespace:
		return &SecretError{class: model.Unauthorized, reason: "the pods are in namespace " + fromNamespace + ", the secret is in " + namespace}
	}
	return nil
}

// SecretError is why pull secrets could not be read; nothing of their content is in it.
type SecretError struct {
	class  model.FailureClass
	reason string
}

func (e *SecretError) Error() string { return e.reason }

// FailureClass says whether asking again can help.
func (e *SecretError) FailureClass() model.FailureClass { return e.class }
