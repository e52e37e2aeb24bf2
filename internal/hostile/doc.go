// Package hostile makes messages that no honest program sends, for tests: mutated ones, random ones, unreadable ones, and those that
// have wedged a workflow before. No green verdict is among them.
package hostile
