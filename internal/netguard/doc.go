// Package netguard keeps requests to hosts that others have named away from this machine and from internal networks. A
// registry's name comes from a pod, and its answers name further hosts: without a guard, each could make a scanner call a
// cloud's metadata service or a server in the cluster.
//
// The rules:
//   - The address is checked when the connection is made, after the name was resolved. So a name that leads to an internal
//     address is refused, also when it led to a public one a moment ago.
//   - Link-local, metadata, multicast, reserved and unspecified addresses are refused whatever the rules say.
//   - Loopback and private addresses are refused unless the rules allow them.
//   - An IPv6 address that carries an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo, ISATAP) is as both.
//   - A proxy of the environment may be called wherever it is, because the operator named it. It resolves the names of the
//     requests that go through it, so it must have rules of its own; here only addresses in place of names are checked then.
//
// What may not go in: HTTP, names of registries, configuration.
package netguard
