package upload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"
	"os"
	"path/filepath"
	"syscall"
)

// sbomType is the type of the part that holds the SBOM; a hub tells the kinds of SBOMs apart by it.
const sbomType = "application/vnd.cyclonedx"

// form is a multipart form with the SBOM in it, read as a stream of known length.
type form struct {
	io.Reader
	file        *os.File
	contentType string
	// length is of the whole form, total of the SBOM in it, in bytes.
	length int64
	total  int64
}

// newForm builds what stands before and after the SBOM; the SBOM itself is read while it is sent. Progress is
// called for each piece of it.
func newForm(req Request, progress func(done, total int64)) (*form, error) {
	// A scan client has written the file and is not trusted: a link would lead to another file of this process's user.
	file, err := os.OpenFile(req.SBOM, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", req.SBOM)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	var frame bytes.Buffer
	writer := multipart.NewWriter(&frame)
	fields := [][2]string{{"projectName", req.Project}, {"versionName", req.Version}, {"codeLocationName", req.ScanName}}
	for _, field := range fields {
		err = errors.Join(err, writer.WriteField(field[0], field[1]))
	}
	header := textproto.MIMEHeader{}
	header.Set("Content-Disposition", fmt.Sprintf(`form-data; name="file"; filename=%q`, filepath.Base(req.SBOM)))
	header.Set("Content-Type", sbomType)
	_, partErr := writer.CreatePart(header)
	before := frame.Len()
	if err = errors.Join(err, partErr, writer.Close()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	whole := frame.Bytes()
	body := &sent{from: io.LimitReader(file, info.Size()), total: info.Size(), progress: progress}
	return &form{
		Reader:      io.MultiReader(bytes.NewReader(whole[:before]), body, bytes.NewReader(whole[before:])),
		file:        file,
		contentType: writer.FormDataContentType(),
		length:      int64(len(whole)) + info.Size(),
		total:       info.Size(),
	}, nil
}

// Close closes the SBOM. Doing so twice, as the HTTP client and its caller do, is no error here.
func (f *form) Close() error {
	if err := f.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// sent counts what was read of the SBOM.
type sent struct {
	from        io.Reader
	done, total int64
	progress    func(done, total int64)
}

// Read reads on and tells how far it is.
func (s *sent) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.done += int64(n)
	s.progress(s.done, s.total)
	return n, err
}
