package catalog_test

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archivetest"
)

// The tags and the one type of an RPM header that the test needs (rpmtag.h).
const (
	tagName      = 1000
	tagVersion   = 1001
	tagRelease   = 1002
	tagVendor    = 1011
	tagArch      = 1022
	tagSourceRPM = 1044
	typeString   = 6
)

// rpmHeader is the header of one installed package: counts, an index, and the data it points into, in big endian.
func rpmHeader(t *testing.T, values map[uint32]string, order ...uint32) []byte {
	t.Helper()
	var index, data bytes.Buffer
	for _, tag := range order {
		require.NoError(t, binary.Write(&index, binary.BigEndian, []uint32{tag, typeString, uint32(data.Len()), 1}))
		data.WriteString(values[tag] + "\x00")
	}
	var header bytes.Buffer
	require.NoError(t, binary.Write(&header, binary.BigEndian, []uint32{uint32(len(order)), uint32(data.Len())}))
	header.Write(index.Bytes())
	header.Write(data.Bytes())
	return header.Bytes()
}

// TestRPMPackagesAreListed reads a database as Fedora and RHEL 9 keep it, which needs the SQLite driver: without it, such
// an image would look empty.
func TestRPMPackagesAreListed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rpmdb.sqlite")
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
	require.NoError(t, err)
	header := rpmHeader(t, map[uint32]string{
		tagName: "openssl-libs", tagVersion: "3.0.7", tagRelease: "24.el9", tagArch: "x86_64", tagSourceRPM: "openssl-3.0.7-24.el9.src.rpm",
	}, tagName, tagVersion, tagRelease, tagArch, tagSourceRPM)
	_, err = db.Exec("INSERT INTO Packages (blob) VALUES (?)", header)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	database, err := os.ReadFile(path)
	require.NoError(t, err)
	layer := archivetest.Layer(t,
		archivetest.Entry{Name: "etc/os-release", Body: "ID=\"rhel\"\nVERSION_ID=\"9.3\"\n"},
		archivetest.Entry{Name: "var/lib/rpm/rpmdb.sqlite", Body: string(database)})
	_, d, _, err := list(t, request(t, archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, layer))))
	require.NoError(t, err)
	require.Equal(t, []string{"pkg:rpm/redhat/openssl-libs@3.0.7-24.el9?arch=x86_64&distro=rhel-9.3&upstream=openssl-3.0.7-24.el9.src.rpm"}, d.purls())
}
