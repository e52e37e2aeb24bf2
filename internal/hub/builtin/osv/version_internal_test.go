package osv

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVersionsThatAreRead has versions as they are published, and odd ones whose order no tool describes. A version that is
// not read leaves its package not assessed; the real order is compared by `make oracle`.
func TestVersionsThatAreRead(t *testing.T) {
	cases := map[string]struct{ read, odd []string }{
		ecosystemMaven: {
			[]string{
				"1", "1.2.3", "1.2.3.Final", "2.0.0.RELEASE", "1.0-alpha-1", "1.0-beta-3-SNAPSHOT", "31.1-jre", "9.4.51.v20230217", "3.2.2.redhat-00001",
				"1.1.1.Final-redhat-00002", "2.0.0.AM26", "4.0.0-rc.2", "2.3.0-b180830.0359", "r09", "v3-rev20190910-1.30.1", "Finchley.SR2", "1.8.0_392",
				"20040616", "3.0.20100224", "1.0b3", "1.0.1B-rc4", "2.0-M3", "4.1.94.Final", "1.0.0.Beta1", "2.13.4.2", "1.2.17-norce",
			},
			[]string{"", "latest", "1..2", "1.0.", "1--2", "1.2.cr-1", "1.GA.a", "1.final1", "${project.version}"},
		},
		ecosystemRubyGems: {[]string{"1.2.3", "1.2.3.rc1", "1.15.0-x86_64-linux", "1.0.0.pre.1"}, []string{"", "latest"}},
		ecosystemAlma:     {[]string{"3.0.7-27.el9", "1:2.0-1", "2.0", "1.0~rc1-1", "1.0^git1-1.module_el9+1+2"}, []string{"", "1.0-1-2", "none"}},
		ecosystemNPM:      {[]string{"1.2.3", "1.0.0-rc.1", "1.0.0-0", "1.0.0-x-1", "0.0.0-experimental-1a-20230101"}, []string{"", "latest", "1.0.0-dev.-1"}},
		ecosystemGo:       {[]string{"v1.2.3", "v0.0.0-20230101000000-abcdef012345", "1.26.8-X:boringcrypto", "go1.22rc1"}, []string{"", "(devel)", "v1.0.0-a.-1"}},
	}
	for name, c := range cases {
		for _, text := range c.read {
			_, err := parseVersion(name, text)
			require.NoError(t, err, name)
		}
		for _, text := range c.odd {
			_, err := parseVersion(name, text)
			require.Error(t, err, "%s %q", name, text)
		}
	}
}

// TestOrderWhereTheLibraryDiffers has the pairs by which `make oracle` found that the library orders otherwise than the tool.
func TestOrderWhereTheLibraryDiffers(t *testing.T) {
	cases := []struct {
		name, a, b string
		order      int
	}{
		{ecosystemRubyGems, "2.0.4-1", "2.0.4", -1},
		{ecosystemRubyGems, "2.0.4a", "2.0.4a-1", 1},
		{ecosystemRubyGems, "0.0.0pre", "0.0.00pre", 0},
		{ecosystemRubyGems, "1.5.000.p1", "1.5.p1", 0},
		{ecosystemRubyGems, "1.15.0-x86_64-linux", "1.15.0", 0},
		{ecosystemRubyGems, "1.15.0-java", "1.15.0", 0},
		{ecosystemMaven, "1.0.RC2", "1.0-RC2", 0},
		{ecosystemMaven, "1.0.RC1", "1.0-RC2", -1},
		{ecosystemMaven, "1.0-RC1", "1.0.RC2", -1},
		{ecosystemMaven, "1.0.Final", "1.0", 0},
		{ecosystemMaven, "4.1.0.Final", "4.1.0.Final-redhat-00001", -1},
	}
	for _, c := range cases {
		a, err := parseVersion(c.name, c.a)
		require.NoError(t, err)
		b, err := parseVersion(c.name, c.b)
		require.NoError(t, err)
		require.Equal(t, c.order, compareVersions(a, b), "%s: %s and %s", c.name, c.a, c.b)
		require.Equal(t, -c.order, compareVersions(b, a), "%s: %s and %s", c.name, c.b, c.a)
	}
}

// FuzzVersions: two versions that are read have one order, and it is the opposite when they are turned.
func FuzzVersions(f *testing.F) {
	for _, seed := range []string{"1.0", "1:2.0~rc1-1", "1.0.0-rc.1+b", "1.0.Final-redhat-1", "2!1.0.post1", "1.0_p1-r0", "v1.2.3-0.20230101000000-abcdef012345", "", "..-"} {
		f.Add(seed, "1.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for name := range ecosystems {
			x, err := parseVersion(name, a)
			if err != nil {
				continue
			}
			require.Zero(t, compareVersions(x, x), "%s %q", name, a)
			y, err := parseVersion(name, b)
			if err != nil {
				continue
			}
			there, back := compareVersions(x, y), compareVersions(y, x)
			require.Equal(t, there > 0, back < 0, "%s %q %q", name, a, b)
			require.Equal(t, there < 0, back > 0, "%s %q %q", name, a, b)
		}
	})
}
