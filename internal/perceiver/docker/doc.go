// Package docker watches the containers of one Docker Engine, and the tasks of the Swarm that it manages, and reports what they run.
//
// The idea: an event of the engine says only that something may have changed. What is reported is read from the engine's lists, so
// nothing depends on the order of events, and missed events are made up for by the next list. The engine is listed at the start, after
// each connection, soon after an event, and from time to time.
//
// What becomes what:
//
//	                   namespace                           pod                                UID
//	container          default                             name of the container              id of the container
//	Compose            label com.docker.compose.project    service and number of the container
//	Swarm              label com.docker.stack.namespace    service and slot (or node) of the task    id of the task
//
// Rules:
//   - It changes nothing in the engine.
//   - An image is known by the digests that a registry gave it. An image without one is reported with that problem: its name could
//     lead to another image.
//   - A list that could not be read is not an empty list: what was known before stays, and no snapshot is made.
//   - Names and labels are anyone's text: they are cleaned and bounded where they enter.
//
// What may not go in: Temporal, the hub, what an image is judged by.
// Start reading at perceiver.go, then state.go, containers.go and tasks.go.
package docker
