package compat_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api/apitest"
	"github.com/perceptor/perceptor/internal/api/compat"
	"github.com/perceptor/perceptor/model"
)

// serve makes a server of this API alone, in the form of the last releases.
func serve(t testing.TB) *apitest.Served {
	t.Helper()
	return apitest.Serve(t, compat.API(false, model.Platform{}))
}

func TestPodIsReportedForTheTokensCluster(t *testing.T) {
	s := serve(t)
	body := `{"Name":"web-1","UID":"u-1","Namespace":"shop","Unknown":[1],"Containers":[{"Name":"web","Image":{
		"Repository":"registry.example/web","Tag":"1.2","Sha":"` + apitest.Sha('a') + `","Priority":1,"BlackDuckProjectName":"","BlackDuckProjectVersion":"v7"}}]}`
	got := s.As(apitest.ProdPerceiverToken, http.MethodPost, "/pod", body)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	require.Empty(t, got.Body)
	r := s.Last()
	require.Equal(t, "prod", r.Cluster)
	require.NotZero(t, r.Version.Epoch)
	require.False(t, r.Snapshot)
	require.Equal(t, []model.Pod{{
		UID: "u-1", Namespace: "shop", Name: "web-1", Containers: []model.Container{{
			Name: "web", Reference: "registry.example/web:1.2", Digest: apitest.DigestOf('a'),
			HubNames: &model.HubNames{Project: "registry.example/web", Version: "v7", Scan: apitest.Sha('a')},
		}},
	}}, r.Pods)
}

// TestThePlatformOfReports is the one that an operator has set, for everything that is reported: the bodies of 2018 name none.
func TestThePlatformOfReports(t *testing.T) {
	want := model.Platform{OS: "linux", Architecture: "arm64"}
	s := apitest.Serve(t, compat.API(false, want))
	image := `{"Repository":"registry.example/web","Tag":"1.2","Sha":"` + apitest.Sha('a') + `"}`
	pod := `{"Name":"web-1","UID":"u-1","Namespace":"shop","Containers":[{"Name":"web","Image":` + image + `}]}`
	for path, body := range map[string]string{"/pod": pod, "/allpods": `{"Pods":[` + pod + `]}`, "/image": image, "/allimages": `{"Images":[` + image + `]}`} {
		method := http.MethodPost
		if strings.HasPrefix(path, "/all") {
			method = http.MethodPut
		}
		got := s.As(apitest.ProdPerceiverToken, method, path, body)
		require.Equal(t, http.StatusOK, got.Status, "%s: %s", path, got.Body)
		require.Len(t, s.Last().Pods, 1, path)
		require.Equal(t, want, s.Last().Pods[0].Platform, path)
	}
}

func TestVersionsGrow(t *testing.T) {
	s := serve(t)
	var last model.Version
	for range 50 {
		require.Equal(t, http.StatusOK, s.As(apitest.PerceiverToken, http.MethodDelete, "/pod", "shop/web").Status)
		require.True(t, last.Before(s.Last().Version))
		last = s.Last().Version
	}
}
