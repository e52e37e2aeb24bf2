// Package watchdog is the workflow Watchdog: one look at all workflows, which a Schedule starts every half minute.
//
// The rules:
//
//   - A workflow that was terminated or cancelled, and never ends so by itself, is brought back from its own history.
//   - A workflow whose task fails again and again is shown, and is not touched: perceptor doctor repairs it.
//   - A look that could not see everything fails. What it found counts for nothing, and its age shows that.
//
// The files: watchdog.go is the look. status.go is the look in words.
package watchdog
