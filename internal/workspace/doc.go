// Package workspace keeps the places of one scanner host: how many images may lie on its disk between pull and upload.
//
// A berth is a directory named by its key (the first run id of a scan, and its attempt), so that it outlives the process
// and is found again at the next start. The yard counts two things against its size: berths held, and reservations
// made before a task is fetched, so that no task is fetched for which there is no place. What may not go in: who needs a berth, which only the scan itself knows.
package workspace
