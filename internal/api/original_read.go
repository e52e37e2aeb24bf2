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

// The largest bodies. A pod of a thousand containers is below 1 MiB, a hundred thousand pods are some 60 MiB.
const (
	smallBody = 2 << 20
	batchBody = 128 << 20
	itemBody  = 4 << 20
	// itemsAtMost is twice the pods of the largest cluster thought of.
	itemsAtMost = 200_000
)

// readBody reads a body whole.
func (c *call) readBody() ([]byte, error) {
	text, err := io.ReadAll(http.MaxBytesReader(c.writer, c.Body, smallBody))
	if err != nil {
		return nil, explainBody(err)
	}
	return text, nil
}

// readJSON reads a body that is one JSON object.
func (c *call) readJSON(into any) error {
	text, err := c.readBody()
	if err != nil {
		return err
	}
	return decodeObject(text, into)
}

// decodeObject reads one JSON object; keys it does not know are passed over, as the original did.
func decodeObject(text []byte, into any) error {
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '{' {
		return explainStart(trimmed)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return explainBody(err)
	}
	return nil
}

func explainStart(trimmed []byte) error {
	if len(trimmed) == 0 {
		return refuse(http.StatusBadRequest, "the body is empty; want a JSON object")
	}
	return refuse(http.StatusBadRequest, "the body begins with %.20q; want a JSON object, which begins with {", trimmed[:1])
}

// explainBody says in a client's words why a body cannot be read.
func explainBody(err error) error {
	var refused *refusal
	var tooLarge *http.MaxBytesError
	var mistyped *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &tooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "the body is larger than %d MiB", tooLarge.Limit>>20)
	case errors.As(err, &mistyped):
		return refuse(http.StatusBadRequest, "%s", mistypedText(mistyped))
	case errors.As(err, &syntax):
		return refuse(http.StatusBadRequest, "the body is not JSON: %.200s, at byte %d", syntax.Error(), syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(http.StatusBadRequest, "the body ends too soon; want a JSON object")
	}
	return refuse(http.StatusBadRequest, "the body could not be read: %.200s", err)
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

// readBatch reads an object with a list under key and hands every item of it over as it stands, so that one that is wrong
// does not spoil the others. Anything that is not JSON spoils the whole.
func (c *call) readBatch(key string, item func(i int, text json.RawMessage)) error {
	seen, err := c.readFields(fields{key: func(d *bodyDecoder) error { return list(d, key, item) }})
	if err == nil && !seen[key] {
		// An empty list is a statement, that nothing runs; no list is a mistake.
		return refuse(http.StatusBadRequest, "%s is missing: want {%q: [...]}", key, key)
	}
	return err
}

// fields say how the value of each key is read.
type fields map[string]func(*bodyDecoder) error

// bodyDecoder reads a long body whose single items are short: nobody's body takes more memory than an item at a time.
type bodyDecoder struct {
	*json.Decoder
	item *itemReader
}

// itemReader hands on a body, but no more than itemBody between two items.
type itemReader struct {
	body io.Reader
	left int
}

// next is said before each item.
func (r *itemReader) next() { r.left = itemBody }

// Read fills p as far as it can: the decoder looks through all it has each time something comes.
func (r *itemReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, refuse(http.StatusRequestEntityTooLarge, "a single item, or a field that is not known, is larger than %d MiB", itemBody>>20)
	}
	n, err := io.ReadFull(r.body, p[:min(len(p), r.left)])
	r.left -= n
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// readFields reads a long body, an object, key by key, and says which it has seen; keys that are not asked for are passed
// over.
func (c *call) readFields(known fields) (map[string]bool, error) {
	items := &itemReader{body: http.MaxBytesReader(c.writer, c.Body, batchBody)}
	d := &bodyDecoder{json.NewDecoder(items), items}
	seen, err := object(d, known)
	if err != nil {
		return seen, explainBody(err)
	}
	return seen, nil
}

func object(d *bodyDecoder, known fields) (map[string]bool, error) {
	seen := map[string]bool{}
	d.item.next()
	if err := opened(d); err != nil {
		return seen, err
	}
	for d.More() {
		if err := field(d, known, seen); err != nil {
			return seen, err
		}
	}
	if _, err := d.Token(); err != nil {
		return seen, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return seen, refuse(http.StatusBadRequest, "there is something behind the JSON object")
	}
	return seen, nil
}

// field reads one key and its value.
func field(d *bodyDecoder, known fields, seen map[string]bool) error {
	d.item.next()
	token, err := d.Token()
	if err != nil {
		return err
	}
	name, _ := token.(string)
	for key, read := range known {
		switch {
		case !strings.EqualFold(name, key):
		case seen[key]:
			return refuse(http.StatusBadRequest, "%s is there twice", key)
		default:
			seen[key] = true
			return read(d)
		}
	}
	var ignored json.RawMessage
	return d.Decode(&ignored)
}

// opened reads the beginning of an object.
func opened(d *bodyDecoder) error {
	got, err := d.Token()
	if errors.Is(err, io.EOF) {
		return refuse(http.StatusBadRequest, "the body is empty; want a JSON object")
	}
	if err != nil {
		return err
	}
	if got != json.Delim('{') {
		return refuse(http.StatusBadRequest, "the body is not a JSON object, which begins with {")
	}
	return nil
}

// list hands over the items of a list; null is an empty one, as Go clients send it.
func list(d *bodyDecoder, key string, item func(i int, text json.RawMessage)) error {
	opening, err := d.Token()
	if err != nil {
		return err
	}
	if opening == nil {
		return nil
	}
	if opening != json.Delim('[') {
		return refuse(http.StatusBadRequest, "%s is no list: want {%q: [...]}", key, key)
	}
	for i := 0; d.More(); i++ {
		if i == itemsAtMost {
			return refuse(http.StatusRequestEntityTooLarge, "%s has more than %d items", key, itemsAtMost)
		}
		d.item.next()
		var text json.RawMessage
		if err := d.Decode(&text); err != nil {
			return err
		}
		item(i, text)
	}
	_, err = d.Token()
	return err
}
