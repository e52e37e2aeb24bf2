package perceiver

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/perceptor/perceptor/model"
)

// CheckLabelKeys says what is wrong with the keys of the labels that an operator has chosen, all mistakes at once.
func CheckLabelKeys(keys []string) error {
	if len(keys) > model.LabelsAtMost {
		return fmt.Errorf("%d labels of pods; at most %d are possible", len(keys), model.LabelsAtMost)
	}
	var wrong []error
	for _, key := range keys {
		if err := model.CheckLabelKey(key); err != nil {
			wrong = append(wrong, fmt.Errorf("labels of pods: %w", err))
		}
	}
	return errors.Join(wrong...)
}

// ChosenLabels are the labels with one of the keys, the first of several sets of labels that has it. Values that are too long are cut,
// and control characters become dashes. It is nil where there is none.
func ChosenLabels(keys []string, sets ...map[string]string) map[string]string {
	var chosen map[string]string
	for _, key := range keys {
		for _, labels := range sets {
			value, is := labels[key]
			if !is {
				continue
			}
			if chosen == nil {
				chosen = make(map[string]string, len(keys))
			}
			chosen[key] = Clip(strings.Map(printable, value), model.LabelValueLength)
			break
		}
	}
	return chosen
}

func printable(r rune) rune {
	if unicode.IsControl(r) {
		return '-'
	}
	return r
}
