// Package refresh is the workflow RefreshHub: one pass over what has changed at one hub. It reads verdicts again without any scan.
package refresh
