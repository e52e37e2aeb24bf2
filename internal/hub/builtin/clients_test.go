package builtin_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin"
)

// object is a resource as a client without types sees it.
type object map[string]any

func (o object) text(key string) string {
	value, _ := o[key].(string)
	return value
}

// link is the address that a resource names by a relation; empty for none.
func (o object) link(rel string) string {
	meta, _ := o["_meta"].(map[string]any)
	links, _ := meta["links"].([]any)
	for _, each := range links {
		if pair, _ := each.(map[string]any); pair["rel"] == rel {
			href, _ := pair["href"].(string)
			return href
		}
	}
	return ""
}

func (o object) href() string {
	meta, _ := o["_meta"].(map[string]any)
	href, _ := meta["href"].(string)
	return href
}

// pythonClient makes the calls of the public Python client: it follows links only, asks for pages of 250, and sends both media types.
type pythonClient struct {
	*testHub
	media string
}

// fetch reads an object by its address.
func (c pythonClient) fetch(address string, query url.Values) (object, int) {
	media := c.media
	if media == "" {
		media = "application/json"
	}
	at, err := url.Parse(address)
	require.NoError(c.t, err)
	if query != nil {
		at.RawQuery = query.Encode()
	}
	a := c.call(http.MethodGet, at.RequestURI(), "", "Accept", media, "Content-Type", media)
	var o object
	if a.status == http.StatusOK {
		require.NoError(c.t, json.Unmarshal(a.body, &o), "a 200 is always an object: %s", address)
	}
	return o, a.status
}

// items reads all pages of a list.
func (c pythonClient) items(address, q string) []object {
	const page = 250
	var all []object
	for offset := 0; ; offset += page {
		query := url.Values{"offset": {fmt.Sprint(offset)}, "limit": {fmt.Sprint(page)}}
		if q != "" {
			query.Set("q", q)
		}
		list, status := c.fetch(address, query)
		require.Equal(c.t, http.StatusOK, status, address)
		some, _ := list["items"].([]any)
		for _, each := range some {
			item, _ := each.(map[string]any)
			all = append(all, item)
		}
		if len(some) < page {
			return all
		}
	}
}

func (c pythonClient) root() object {
	root, status := c.fetch("/api/", nil)
	require.Equal(c.t, http.StatusOK, status)
	return root
}

// TestPythonClientWalks makes the calls of the client's examples quickstart and get_project_data.
func TestPythonClientWalks(t *testing.T) {
	c := pythonClient{testHub: scanned(t)}
	projects := c.items(c.root().text("projects"), "")
	require.Len(t, projects, 1)
	require.NotEmpty(t, projects[0].text("name"))
	versions := c.items(projects[0].link("versions"), "versionName:v1-0123456789abcdef0123")
	require.Len(t, versions, 1)
	components := c.items(versions[0].link("components"), "")
	require.Len(t, components, 6)
	for _, each := range components {
		require.NotEmpty(t, each.text("componentName"))
		require.Contains(t, each, "componentVersionName")
		licenses, _ := each["licenses"].([]any)
		require.NotEmpty(t, licenses)
		require.Equal(t, "Unknown License", object(licenses[0].(map[string]any)).text("licenseDisplay"), "no license is judged")
		require.Len(t, c.items(each.link("licenses"), ""), 1)
	}
}

// TestPythonClientIterates follows every link of everything, as the client's example iterate_endpoints does.
func TestPythonClientIterates(t *testing.T) {
	c := pythonClient{testHub: scanned(t)}
	seen := map[string]bool{}
	var walk func(o object, from string)
	walk = func(o object, from string) {
		meta, _ := o["_meta"].(map[string]any)
		links, is := meta["links"].([]any)
		require.True(t, is, "%s has no links", from)
		for _, each := range links {
			pair, _ := each.(map[string]any)
			address, _ := pair["href"].(string)
			if seen[address] {
				continue
			}
			seen[address] = true
			found, status := c.fetch(address, nil)
			require.Equal(t, http.StatusOK, status, "%s names %s", from, address)
			walk(found, address)
			items, _ := found["items"].([]any)
			for _, item := range items {
				one, _ := item.(map[string]any)
				if object(one).link("component") != "" || one["_meta"] != nil {
					walk(one, address)
				}
			}
		}
	}
	for name, value := range c.root() {
		address, is := value.(string)
		if !is {
			continue
		}
		found, status := c.fetch(address, nil)
		require.Equal(t, http.StatusOK, status, name)
		items, _ := found["items"].([]any)
		for _, item := range items {
			one, _ := item.(map[string]any)
			walk(one, address)
		}
	}
	require.Greater(t, len(seen), 30)
}

// TestPythonClientChangesAProject makes the calls of the client's example crud_project.
func TestPythonClientChangesAProject(t *testing.T) {
	c := pythonClient{testHub: open(t, t.TempDir())}
	json := []string{"Accept", "application/json", "Content-Type", "application/json"}
	made := c.call(http.MethodPost, "/api/projects", `{"name":"own","description":"some description","projectLevelAdjustments":true}`, json...)
	require.Equal(t, http.StatusCreated, made.status)
	require.Equal(t, "<"+made.header.Get("Location")+`>; rel="project"`, made.header.Get("Link"))
	found := c.items(c.root().text("projects"), "name:own")
	require.Len(t, found, 1)
	require.Equal(t, made.header.Get("Location"), found[0].href())
	at := strings.TrimPrefix(found[0].href(), c.base)
	require.Equal(t, http.StatusOK, c.call(http.MethodPut, at, `{"name":"own","description":"a different description"}`, json...).status)
	changed, _ := c.fetch(at, nil)
	require.Equal(t, "a different description", changed.text("description"))

	require.Equal(t, http.StatusCreated, c.call(http.MethodPost, "/api/projects", `{"name":"other"}`, json...).status)
	require.Equal(t, http.StatusPreconditionFailed, c.call(http.MethodPut, at, `{"name":"other"}`, json...).status, "the name is taken")
	require.Equal(t, http.StatusBadRequest, c.call(http.MethodPut, at, `{"name":""}`, json...).status)
	require.Equal(t, http.StatusNotFound, c.call(http.MethodPut, "/api/projects/none", `{"name":"x"}`, json...).status)
	require.Equal(t, http.StatusOK, c.call(http.MethodPut, at, `{"name":"renamed"}`, json...).status)
	require.Empty(t, c.items(c.root().text("projects"), "name:own"))
	renamed := c.items(c.root().text("projects"), "name:renamed")
	require.Len(t, renamed, 1)
	require.Equal(t, "a different description", renamed[0].text("description"), "what is left out stays")
	require.Equal(t, http.StatusNoContent, c.call(http.MethodDelete, at, "").status)
	require.Equal(t, http.StatusNotFound, c.call(http.MethodDelete, at, "").status)
}

// TestPythonClientReadsVulnerabilities makes the calls of the client's example get_bom_component_vuln_info, with its media type.
func TestPythonClientReadsVulnerabilities(t *testing.T) {
	h := scanned(t)
	plain, c := pythonClient{testHub: h}, pythonClient{testHub: h, media: "application/vnd.blackducksoftware.bill-of-materials-8+json"}
	version := plain.items(plain.items(plain.root().text("projects"), "")[0].link("versions"), "")[0]
	vulnerable := c.items(version.link("vulnerable-components"), "")
	require.Len(t, vulnerable, 3)
	for _, each := range vulnerable {
		one, _ := each["vulnerability"].(map[string]any)
		require.NotEmpty(t, object(one).text("vulnerabilityId"))
		require.NotEmpty(t, object(one).text("remediationStatus"))
		require.NotEmpty(t, each.text("componentName"))
		require.Len(t, plain.items(each.link("vulnerabilities"), ""), 1)
		guidance, status := plain.fetch(each.text("componentVersion")+"/upgrade-guidance", nil)
		require.Equal(t, http.StatusOK, status)
		require.NotContains(t, guidance, "shortTerm", "there is no advice")
	}
}

func TestCurrentUser(t *testing.T) {
	h := open(t, t.TempDir())
	user, status := pythonClient{testHub: h}.fetch("/api/current-user", nil)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, builtin.User, user.text("userName"))
	require.Equal(t, http.StatusUnauthorized, h.call(http.MethodGet, "/api/current-user", "", "Authorization", "").status)
}

// TestClientsOfTheOldGeneration: clients of 2018 fail on the level CRITICAL, and read one page of a list.
func TestClientsOfTheOldGeneration(t *testing.T) {
	const projects = 1001 // more than a page of today's hubs
	for old, want := range map[bool]struct {
		version string
		high    float64
	}{true: {"4.8.3", 1}, false: {"2026.1.1", 0}} {
		h := open(t, t.TempDir(), func(o *builtin.Options) { o.Old, o.Version = old, "v1.2.3 abcdef go1.26" })
		h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector))
		h.scan(upload{project: "app", version: "1", scan: "0123", attempt: "1000-1", document: document("pkg:npm/rotten@1.0.0", "pkg:cargo/unknown@1.0.0")})
		c := pythonClient{testHub: h}
		answered, _ := c.fetch("/api/current-version", nil)
		require.Equal(t, want.version, answered.text("version"), "a plain version number")
		require.Contains(t, answered.text("product"), "v1.2.3")
		_, version := h.location("0123")
		risk, _ := c.fetch(version+"/risk-profile", nil)
		levels := risk["categories"].(map[string]any)["VULNERABILITY"].(map[string]any)
		require.Equal(t, want.high, levels["HIGH"])
		require.Equal(t, float64(1), levels["UNKNOWN"])
		for _, categories := range risk["categories"].(map[string]any) {
			_, critical := categories.(map[string]any)["CRITICAL"]
			require.Equal(t, !old, critical)
		}
		status, _ := c.fetch(version+"/policy-status", nil)
		raw, err := json.Marshal(status["componentVersionStatusCounts"])
		require.NoError(t, err)
		require.Equal(t, !old, bytes.Contains(raw, []byte("UNKNOWN")))
		if !old {
			continue // TestPaging has the largest page of today's hubs
		}
		for i := range projects {
			require.Equal(t, http.StatusCreated, h.call(http.MethodPost, "/api/projects", fmt.Sprintf(`{"name":"p%d"}`, i)).status)
		}
		all, _ := c.fetch("/api/projects", url.Values{"limit": {"2000000"}})
		require.Len(t, all["items"], projects+1)
		require.Equal(t, float64(projects+1), all["totalCount"])
	}
}

// TestScanClientArchive: the archive has the program where a scanner of 2018 expects Java, and needs a login.
func TestScanClientArchive(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(program, bytes.Repeat([]byte("program\x00"), 100_000), 0o700))
	h := open(t, t.TempDir(), func(o *builtin.Options) { o.ScanClient, o.Old = program, true })
	require.Equal(t, http.StatusUnauthorized, h.call(http.MethodGet, "/download/scan.cli.zip", "", "Authorization", "").status)
	a := h.call(http.MethodGet, "/download/scan.cli.zip", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "application/zip", a.header.Get("Content-Type"))
	archive, err := zip.NewReader(bytes.NewReader(a.body), int64(len(a.body)))
	require.NoError(t, err)
	modes := map[string]os.FileMode{}
	for _, each := range archive.File {
		modes[each.Name] = each.Mode()
	}
	require.Equal(t, map[string]os.FileMode{
		"scan.cli-4.8.3/jre/bin/java": 0o755, "scan.cli-4.8.3/bin/scan.cli.sh": 0o755, "scan.cli-4.8.3/lib/scan.cli-4.8.3-standalone.jar": 0o644,
		"scan.cli-4.8.3/lib/cache/scan.cli.impl-standalone.jar": 0o644,
	}, modes)
	java, err := archive.Open("scan.cli-4.8.3/jre/bin/java")
	require.NoError(t, err)
	content, err := io.ReadAll(java)
	require.NoError(t, err)
	want, err := os.ReadFile(program)
	require.NoError(t, err)
	require.Equal(t, want, content)

	none := open(t, t.TempDir())
	require.Equal(t, http.StatusNotFound, none.call(http.MethodGet, "/download/scan.cli.zip", "").status)
	require.NoError(t, os.Remove(program))
	require.Equal(t, http.StatusInternalServerError, h.call(http.MethodGet, "/download/scan.cli.zip", "").status)
}
