// Package datadir owns the directory in which perceptor-dev keeps everything.
//
// Idea: one process per directory, private to its owner, and a small file that
// tells scripts when everything is ready and where it listens.
//
// Rules: files appear whole or not at all, and are readable by their owner
// alone. What the files of the other parts hold is their own matter and may
// not go in here.
package datadir
