// Package registry reads images from container registries: it resolves a reference to one platform manifest and
// pulls such a manifest into a docker-archive tar.
//
// The idea: layers are content-addressed, so they are kept in one directory per host and fetched once for all callers and
// however many ask at once; the tar is put together from those files by the kernel, without a layer in memory.
//
// The rules:
//   - Nothing is believed: every manifest, config and layer is checked against its digest and its announced size, and a
//     layer found on disk is checked once in each process before it is used.
//   - A file under its final name is whole. What is still growing has another name, is locked by the process that
//     writes it, and is removed when that process fails or is gone.
//   - What a failure means and whether to try again is decided in one table, in failures.go.
//   - A registry that asks for patience gets it from every pull of the process, in gate.go.
//   - TLS is verified, and plain HTTP refused beyond loopback, unless the host's own configuration says otherwise.
//   - Secrets are read at the moment of the pull and go into no error and no log.
//
// What may not go in: Temporal, configuration files, knowledge of hubs or of scan clients, and the contents of layers:
// nothing here unpacks an image.
package registry
