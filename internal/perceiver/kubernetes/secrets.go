package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

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

// DockerConfigs are the docker configurations behind a credential, in the order of the pod's secrets. The credential's name is
// that of a report: "kubernetes:NAMESPACE/SECRET,SECRET". Secrets that are not there are passed over, as a kubelet does. The
// error's class says whether asking again can help.
func (s *Secrets) DockerConfigs(ctx context.Context, credential string) ([][]byte, error) {
	path, ours := strings.CutPrefix(credential, secretsPrefix)
	namespace, names, whole := strings.Cut(path, "/")
	if !ours || !whole {
		return nil, &SecretError{class: model.Unauthorized, reason: fmt.Sprintf("there is no credential %q on this host", credential)}
	}
	var found [][]byte
	for name := range strings.SplitSeq(names, ",") {
		secret, err := s.client.Secret(ctx, namespace, name)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, &SecretError{class: classOf(err), reason: fmt.Sprintf("pull secret %s/%s cannot be read: %s", namespace, name, clip(err.Error(), reasonLength))}
		default:
			if text := dockerConfigIn(secret); len(text) > 0 {
				found = append(found, text)
			}
		}
	}
	return found, nil
}

// dockerConfigIn is the docker configuration in a secret, the old form brought into the present one; nil where there is none.
func dockerConfigIn(secret *corev1.Secret) []byte {
	if secret.Type == corev1.SecretTypeDockerConfigJson {
		return secret.Data[corev1.DockerConfigJsonKey]
	}
	old := secret.Data[corev1.DockerConfigKey]
	if secret.Type != corev1.SecretTypeDockercfg || len(old) == 0 {
		return nil
	}
	present, err := json.Marshal(map[string]json.RawMessage{"auths": old})
	if err != nil {
		return old // What cannot be read is found out, and said, where it is used.
	}
	return present
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
