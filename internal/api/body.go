package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The largest bodies, in bytes. A pod of a thousand containers is below 1 MiB; a hundred thousand pods are about 60 MiB.
const (
	// SmallBody is for a body without a list of any length.
	SmallBody = 2 << 20
	// batchBody is for a body with a list of any length, itemBody for one item of it.
	batchBody = 128 << 20
	itemBody  = 4 << 20
	// itemsAtMost is twice the number of pods in the largest cluster that Perceptor is made for.
	itemsAtMost = 200_000
)

// ReadBody reads a whole body of at most SmallBody bytes.
func (r *Request) ReadBody() ([]byte, error) {
	text, err := io.ReadAll(http.MaxBytesReader(r.Writer, r.Body, SmallBody))
	if err != nil {
		return nil, explainBody(err)
	}
	return text, nil
}

// ReadJSON reads a body that is one JSON object.
func (r *Request) ReadJSON(into any) error {
	text, err := r.ReadBody()
	if err != nil {
		return err
	}
	return DecodeObject(text, into)
}

// DecodeObject reads one JSON object. Keys that it does not know are ignored.
func DecodeObject(text []byte, into any) error {
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '{' {
		return explainStart(trimmed)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return explainBody(err)
	}
	return nil
}

// explainStart refuses a body that does not begin as an object.
func explainStart(trimmed []byte) error {
	if len(trimmed) == 0 {
		return Refuse(http.StatusBadRequest, "the body is empty; want a JSON object")
	}
	return Refuse(http.StatusBadRequest, "the body begins with %.20q; want a JSON object, which begins with {", trimmed[:1])
}

// explainBody turns an error of reading a body into a refusal that the client understands.
func explainBody(err error) error {
	var refused *Refusal
	var tooLarge *http.MaxBytesError
	var mistyped *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &tooLarge):
		return Refuse(http.StatusRequestEntityTooLarge, "the body is larger than %d MiB", tooLarge.Limit>>20)
	case errors.As(err, &mistyped):
		return Refuse(http.StatusBadRequest, "%s", mistypedText(mistyped))
	case errors.As(err, &syntax):
		return Refuse(http.StatusBadRequest, "the body is not JSON: %.200s, at byte %d", syntax.Error(), syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Refuse(http.StatusBadRequest, "the body ends too soon; want a JSON object")
	}
	return Refuse(http.StatusBadRequest, "the body could not be read: %.200s", err)
}

// mistypedText is for a value of the wrong type.
func mistypedText(e *json.UnmarshalTypeError) string {
	want := map[string]string{"string": "a string", "int": "a whole number", "bool": "true or false", "slice": "a list", "struct": "an object"}[e.Type.Kind().String()]
	if want == "" {
		want = "another type"
	}
	where := e.Field
	if where == "" {
		where = "the value"
	}
	return fmt.Sprintf("%.200s: got %s; want %s", where, e.Value, want)
}

// ReadBatch reads an object with a list under key, and gives every item to the function as JSON. A wrong item does not harm
// the others; a body that is not JSON is refused as a whole.
func (r *Request) ReadBatch(key string, item func(i int, text json.RawMessage)) error {
	seen, err := r.ReadFields(Fields{key: func(d *BodyDecoder) error { return List(d, key, item) }})
	if err == nil && !seen[key] {
		// An empty list says that nothing runs. A missing list is a mistake.
		return Refuse(http.StatusBadRequest, "%s is missing: want {%q: [...]}", key, key)
	}
	return err
}

// Fields has, for each key, the function that reads its value.
type Fields map[string]func(*BodyDecoder) error

// BodyDecoder reads a long body of short items. It holds one item in memory at a time.
type BodyDecoder struct {
	*json.Decoder
	item *itemReader
}

// itemReader reads a body, at most itemBody bytes between two items.
type itemReader struct {
	body io.Reader
	left int
}

// startItem must be called before each item.
func (r *itemReader) startItem() { r.left = itemBody }

// Read fills p as far as possible, because the decoder searches all its bytes again after each read.
func (r *itemReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, Refuse(http.StatusRequestEntityTooLarge, "a single item, or a field that is not known, is larger than %d MiB", itemBody>>20)
	}
	n, err := io.ReadFull(r.body, p[:min(len(p), r.left)])
	r.left -= n
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// ReadFields reads a long body that is an object, key by key, and returns the keys that it found. Keys that are not in
// known are ignored.
func (r *Request) ReadFields(known Fields) (map[string]bool, error) {
	items := &itemReader{body: http.MaxBytesReader(r.Writer, r.Body, batchBody)}
	d := &BodyDecoder{json.NewDecoder(items), items}
	seen, err := readObject(d, known)
	if err != nil {
		return seen, explainBody(err)
	}
	return seen, nil
}

// readObject reads an object and demands the end of the body behind it.
func readObject(d *BodyDecoder, known Fields) (map[string]bool, error) {
	seen := map[string]bool{}
	d.item.startItem()
	if err := readOpening(d); err != nil {
		return seen, err
	}
	for d.More() {
		if err := readField(d, known, seen); err != nil {
			return seen, err
		}
	}
	if _, err := d.Token(); err != nil {
		return seen, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return seen, Refuse(http.StatusBadRequest, "there is something behind the JSON object")
	}
	return seen, nil
}

// readField reads one key and its value.
func readField(d *BodyDecoder, known Fields, seen map[string]bool) error {
	d.item.startItem()
	token, err := d.Token()
	if err != nil {
		return err
	}
	name, _ := token.(string)
	for key, read := range known {
		switch {
		case !strings.EqualFold(name, key):
		case seen[key]:
			return Refuse(http.StatusBadRequest, "%s is there twice", key)
		default:
			seen[key] = true
			return read(d)
		}
	}
	var ignored json.RawMessage
	return d.Decode(&ignored)
}

// readOpening reads the beginning of an object.
func readOpening(d *BodyDecoder) error {
	got, err := d.Token()
	if errors.Is(err, io.EOF) {
		return Refuse(http.StatusBadRequest, "the body is empty; want a JSON object")
	}
	if err != nil {
		return err
	}
	if got != json.Delim('{') {
		return Refuse(http.StatusBadRequest, "the body is not a JSON object, which begins with {")
	}
	return nil
}

// List gives the items of a list to the function. null is an empty list, because Go clients send it so.
func List(d *BodyDecoder, key string, item func(i int, text json.RawMessage)) error {
	opening, err := d.Token()
	if err != nil {
		return err
	}
	if opening == nil {
		return nil
	}
	if opening != json.Delim('[') {
		return Refuse(http.StatusBadRequest, "%s is no list: want {%q: [...]}", key, key)
	}
	for i := 0; d.More(); i++ {
		if i == itemsAtMost {
			return Refuse(http.StatusRequestEntityTooLarge, "%s has more than %d items", key, itemsAtMost)
		}
		d.item.startItem()
		var text json.RawMessage
		if err := d.Decode(&text); err != nil {
			return err
		}
		item(i, text)
	}
	_, err = d.Token()
	return err
}
