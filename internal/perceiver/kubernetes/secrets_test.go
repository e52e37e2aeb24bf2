package kubernetes

import (
	"errors"
	"fmt"
	"testing"

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
	texts, err := secrets.DockerConfigs(t.Context(), credentialName(pod))
	require.NoError(t, err)
	require.Len(t, texts, 2, "one for each secret that is there, of the pod's namespace alone")
	require.Contains(t, string(texts[0]), "other.example", "in the order of the pod")
	require.Contains(t, string(texts[1]), "robot")
}

func TestPullSecretOfTheOldForm(t *testing.T) {
	old := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "old"}, Type: corev1.SecretTypeDockercfg,
		Data: map[string][]byte{corev1.DockerConfigKey: []byte(`{"registry.example":{"username":"robot","password":"s3cret"}}`)},
	}
	opaque := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "opaque"}, Data: map[string][]byte{"a": []byte("b")}}
	texts, err := NewSecrets(fakeClient{fake.NewClientset(old, opaque)}).DockerConfigs(t.Context(), "kubernetes:shop/old,opaque")
	require.NoError(t, err)
	require.Len(t, texts, 1)
	require.JSONEq(t, `{"auths":{"registry.example":{"username":"robot","password":"s3cret"}}}`, string(texts[0]))
}

func TestPullSecretsThatCannotBeRead(t *testing.T) {
	client := fake.NewClientset(pullSecret("shop", "mine", `{"auths":"hunter2"}`))
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
		{"kubernetes:shop", nil, model.Unauthorized, "there is no credential"},
		{"robot", nil, model.Unauthorized, "there is no credential \"robot\" on this host"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			answer = each.answer
			_, err := secrets.DockerConfigs(t.Context(), each.credential)
			var failed *SecretError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, each.class, failed.FailureClass())
			require.Contains(t, err.Error(), each.says)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}
