package osv_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

// aports is a commit of Alpine's repository.
const aports = "1f4ae2ab7d8e2a1cbd5ea7ae3c2a0a0e4cc9f6a1"

func TestOwnBuild(t *testing.T) {
	for _, row := range []struct {
		name, ecosystem, vendor, version, commit string
		own                                      bool
	}{
		{"a team of Debian", "Debian:12", "Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>", "3.0.11-1~deb12u2", "", true},
		{"a list of Debian", "Debian:12", "Debian Maintainers <debian@lists.debian.org>", "5.2.15-2", "", true},
		{"a member of Debian", "Debian:12", "Matthias Klose <doko@debian.org>", "5.2.15-2+b2", "", true},
		{"a maintainer elsewhere", "Debian:12", "Theodore Y. Ts'o <tytso@mit.edu>", "1.47.0-2", "", true},
		{"no one of Debian", "Debian:12", "Someone Else <packages@example.com>", "1.0-1", "", false},
		{"a domain that only ends alike", "Debian:12", "Someone Else <x@notdebian.org>", "1.0-1", "", false},
		{"no maintainer", "Debian:12", "", "1.0-1", "", false},
		{"nginx.org", "Debian:12", "NGINX Packaging <nginx-packaging@f5.com>", "1.25.3-1~bookworm", "", false},
		{"NodeSource", "Debian:12", "Ivan Iguaran <ivan@nodesource.com>", "20.9.0-1nodesource1", "", false},
		{"PostgreSQL's archive, by the same people", "Debian:12", "Debian PostgreSQL Maintainers <team+postgresql@tracker.debian.org>", "15.5-1.pgdg120+1", "", false},
		{"PHP's archive, by the same people", "Debian:12", "Debian PHP Maintainers <team+pkg-php@tracker.debian.org>", "8.2.13-1+0~20231124.40+debian12~1.gbp84bc2c", "", false},
		{"a backport", "Debian:12", "Debian Maintainers <debian@lists.debian.org>", "6.5.10-1~bpo12+1", "", false},
		{"Docker", "Debian:12", "Docker <support@docker.com>", "5:24.0.7-1~debian.12~bookworm", "", false},
		{"Ubuntu", "Ubuntu:22.04", "Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>", "2.36.1-8ubuntu1~22.04.1", "", true},
		{"a PPA", "Ubuntu:22.04", "Debian PHP Maintainers <team+pkg-php@tracker.debian.org>", "8.2.13-1+ubuntu22.04.1+deb.sury.org+1", "", false},
		{"a PPA by its own version", "Ubuntu:22.04", "Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>", "1.0-1~ppa1", "", false},
		{"Alpine", "Alpine:v3.18", "Natanael Copa <ncopa@alpinelinux.org>", "1.2.4-r1", "", true},
		{"a maintainer of Alpine elsewhere", "Alpine:v3.18", "Timo Teräs <timo.teras@iki.fi>", "1.2.4-r1", "", true},
		{"nginx.org for Alpine", "Alpine:v3.18", "NGINX Packaging <nginx-packaging@f5.com>", "1.25.3-r1", "", false},
		{"an apk by no one", "Alpine:v3.18", "", "1.0-r0", "", false},
		{"a person whom no list knows, of Alpine", "Alpine:v3.22", "Someone Unknown <me@blog.example>", "1.0-r0", aports, true},
		{"an orphan of Alpine", "Alpine:v3.22", "", "1.0-r0", aports, true},
		{"a person, without a commit", "Alpine:v3.22", "Someone Unknown <me@blog.example>", "1.0-r0", "", false},
		{"a person, from a changed copy", "Alpine:v3.22", "Someone Unknown <me@blog.example>", "1.0-r0", aports + "-dirty", false},
		{"nginx.org for Alpine, with a commit", "Alpine:v3.22", "NGINX Packaging <nginx-packaging@f5.com>", "1.29.3-r1", aports, false},
		{"a company for Alpine, with a commit", "Alpine:v3.22", "Example Inc. <alpine@example.com>", "1.0-r0", aports, false},
		{"Adoptium for Alpine, with a commit", "Alpine:v3.22", "Eclipse Temurin <temurin@eclipse.org>", "1.0-r0", aports, false},
		{"a commit is Alpine's alone", "Wolfi", "Someone Unknown <me@blog.example>", "1.0-r0", aports, false},
		{"Wolfi names no one", "Wolfi", "", "1.0-r0", "", true},
		{"another vendor on Wolfi", "Wolfi", "Someone <x@example.com>", "1.0-r0", "", false},
		{"AlmaLinux", "AlmaLinux:9", "AlmaLinux", "3.0.7-27.el9", "", true},
		{"EPEL", "AlmaLinux:9", "Fedora Project", "2.1-1.el9", "", false},
		{"an rpm by no one", "AlmaLinux:9", "", "2.1-1.el9", "", false},
		{"Rocky Linux", "Rocky Linux:9", "Rocky Enterprise Software Foundation", "3.0.7-27.el9", "", true},
		{"Red Hat", "Red Hat:9", "Red Hat, Inc.", "3.0.7-27.el9", "", true},
		{"EPEL on Red Hat", "Red Hat:9", "Fedora Project", "3.0.7-27.el9", "", false},
		{"SUSE", "SUSE:15.5", "SUSE LLC <https://www.suse.com/>", "3.0.8-1", "", true},
		{"openSUSE", "openSUSE:Leap 15.5", "openSUSE", "3.0.8-1", "", true},
		{"Mageia", "Mageia:9", "Mageia.Org", "3.0.8-1", "", true},
		{"openEuler", "openEuler:22.03-LTS", "http://openeuler.org", "3.0.8-1", "", true},
		{"no distribution", "npm", "", "1.0.0", "", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			require.Equal(t, row.own, osv.OwnBuild(row.ecosystem, row.vendor, row.version, row.commit))
		})
	}
}
