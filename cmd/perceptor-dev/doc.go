// Command perceptor-dev runs everything that Perceptor needs in one process: a
// Temporal server with its Web UI, the built-in hub, an image registry with
// samples, and all workers. It is for laptops, demos and tests.
//
// Idea: each part is a package of its own that knows nothing of the others;
// this one starts them in order, says where they listen, and stops them in the
// reverse order. Everything is kept in one directory and listens on loopback.
//
// Rules: nothing here is made for production. How a part works may not go in
// here, only what it is given and when it runs.
package main
