package kubernetes

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/perceptor/perceptor/model"
)

func pullSecret(namespace, name, text string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(text)},
	}
}

func TestPullSecretsAreFoundByTheNameOfAReport(t *testing.T) {
	pod := podOf("shop", "web", "registry.example/web:1")
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "gone"}, {Name: "other"}, {Name: "ours"}}
	secrets := NewSecrets(fakeClient{fake.NewClientset(
		pullSecret("shop", "ours", `{"auths":{"registry.example":{"username":"robot","password":"s3cret"}},"credHelpers":{"helped.example":"evil"}}`),
		pullSecret("shop", "other", `{"auths":{"other.example":{"auth":"YW5uOnB3"}}}`),
		pullSecret("bank", "ours", `{"auths":{"registry.example":{"username":"thief","password":"x"}}}`))})
	keychain, err := secrets.Keychain(t.Context(), credentialName(pod))
	require.NoError(t, err)
	login := func(repository string) authn.AuthConfig {
		repo, err := name.NewRepository(repository)
		require.NoError(t, err)
		found, err := keychain.Resolve(repo)
		require.NoError(t, err)
		config, err := found.Authorization()
		require.NoError(t, err)
		return *config
	}
	require.Equal(t, authn.AuthConfig{Username: "robot", Password: "s3cret"}, login("registry.example/web"))
	require.Equal(t, "ann", login("other.example/a/b").Username)
	require.Empty(t, login("third.example/web"), "no login is shown to a registry it is not for")
	require.Empty(t, login("helped.example/web"), "and no program is run to find one")
}

func TestPullSecretsThatCannotBeRead(t *testing.T) {
	client := fake.NewClientset(pullSecret("shop", "broken", `{"auths":"hunter2"}`))
	var answer error
	client.PrependReactor("get", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		return answer != nil, nil, answer
	})
	secrets := NewSecrets(fakeClient{client})
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "mine", errors.New("no"))
	for i, each := range []struct {
		credential string
		answer     error
		class      model.FailureClass
		says       string
	}{
		{"kubernetes:shop/mine", forbidden, model.Unauthorized, "pull secret shop/mine cannot be read"},
		{"kubernetes:shop/mine", errors.New("connection refused"), model.Transient, "connection refused"},
		{"kubernetes:shop/broken", nil, model.Unauthorized, "no valid docker configuration"},
		{"kubernetes:shop", nil, model.Unauthorized, "there is no credential"},
		{"robot", nil, model.Unauthorized, "there is no credential \"robot\" on this host"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			answer = each.answer
			_, err := secrets.Keychain(t.Context(), each.credential)
			var failed *SecretError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, each.class, failed.FailureClass())
			require.Contains(t, err.Error(), each.says)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}
