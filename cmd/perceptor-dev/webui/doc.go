// Package webui serves Temporal's Web UI in this process.
//
// Idea: the UI's own routes on a listener of ours. Its ready-made server opens
// its port itself and ends the whole process where it cannot, so only its
// parts are used.
//
// Rules: the UI talks to one frontend on loopback and logs nothing. Nothing of
// Perceptor may go in here.
package webui
