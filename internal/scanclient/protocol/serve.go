package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
)

// Task is one line on the standard input of a client that serves: one image. The client answers with the lines of the verb
// "sbom", and then waits for the next task. It ends after a failure, and where its result says so.
type Task struct {
	Tar          string `json:"tar"`
	SBOM         string `json:"sbom"`
	Scratch      string `json:"scratch"`
	ScratchQuota int64  `json:"scratchQuota"`
	Name         string `json:"name,omitempty"`
	Version      string `json:"version,omitempty"`
}

// Line is the task as it is written.
func (t Task) Line() ([]byte, error) {
	line, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	if len(line) >= MaxLine {
		return nil, fmt.Errorf("a task of more than %d bytes", MaxLine)
	}
	return append(line, '\n'), nil
}

// ParseTask reads one task.
func ParseTask(line []byte) (Task, error) {
	if len(line) > MaxLine {
		return Task{}, fmt.Errorf("a task of more than %d bytes", MaxLine)
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var t Task
	if err := decoder.Decode(&t); err != nil {
		return Task{}, fmt.Errorf("want one task as a JSON object, got %s", quote(line))
	}
	for _, path := range []string{t.Tar, t.SBOM, t.Scratch} {
		if !filepath.IsAbs(path) {
			return Task{}, fmt.Errorf("the path %.80q of a task is not absolute", path)
		}
	}
	if t.ScratchQuota < 0 {
		return Task{}, errors.New("the scratch quota of a task is below zero")
	}
	return t, nil
}
