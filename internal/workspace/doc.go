// Package workspace keeps the workspaces of one scanner host: how many images may be on its disk between pull and upload.
//
// A workspace is a slot with a directory. The directory is named by its key (the digest, the first run ID of a scan, and its
// attempt), so that it outlives the process and is found again at the next start. The pool counts two things against its
// size: workspaces on disk, and reservations. A reservation is made before a task is fetched, so that no task is fetched
// without a slot for it. Which workspaces are still needed does not belong here: only the scan itself knows.
package workspace
